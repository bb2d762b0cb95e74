"""What the application sends, written down once and sent again by bare asyncpg for other things."""

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import asyncpg

from benchmarks.measure import Window
from benchmarks.stage import Bare, Stage
from entrypoints.container import Root
from tests.support.application import close

_ID = re.compile(r"\b[a-z]{3}_[0-9a-f]{32}\b")


@dataclass(frozen=True)
class Sent:
    """A statement, by which role and with which method of the connection it was sent."""

    role: str
    method: str
    sql: str
    arguments: tuple[Any, ...]

    def texts(self) -> list[str]:
        return [argument for argument in self.arguments if isinstance(argument, str)]

    def ids(self) -> set[str]:
        return {found for text in self.texts() for found in _ID.findall(text)}

    def named(self, names: Mapping[str, str]) -> "Sent":
        return Sent(self.role, self.method, self.sql, tuple(_named(argument, names) for argument in self.arguments))


def _named(argument: Any, names: Mapping[str, str]) -> Any:
    if isinstance(argument, str):
        for was, now in names.items():
            argument = argument.replace(was, now)
    return argument


async def recorded(stage: Stage, work: Callable[[Root], Awaitable[object]]) -> list[Sent]:
    """All that `work` sends, in an application of its own."""
    sent: list[Sent] = []
    root = Root(settings=stage.settings)
    root.shared.connect.override(lambda role: stage.connect(role, _recording(role, sent)))
    try:
        await work(root)
    finally:
        await close(root.shared)
    return sent


def _recording(role: str, sent: list[Sent]) -> type[Any]:
    class Recording(asyncpg.Connection):
        async def execute(self, query: str, *args: Any, **options: Any) -> str:
            sent.append(Sent(role, "execute", query, args))
            return await super().execute(query, *args, **options)

        async def fetch(self, query: str, *args: Any, **options: Any) -> list[Any]:
            sent.append(Sent(role, "fetch", query, args))
            rows: list[Any] = await super().fetch(query, *args, **options)
            return rows

        async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
            sent.append(Sent(role, "fetchrow", query, args))
            return await super().fetchrow(query, *args, **options)

    return Recording


def made(model: Iterable[Sent], kinds: str) -> dict[str, str]:
    """The ids of these kinds, such as `rsv evt`, each with what another one begins with."""
    return {found: found[:4] for sent in model for found in sorted(sent.ids()) if found[:3] in kinds.split()}


def numbers(model: Iterable[Sent]) -> dict[str, str]:
    """The number of the order, of which another one is made out of nothing."""
    return {text: "" for sent in model for text in sent.texts() if text.isdigit()}


def again(model: Sequence[Sent], names: Mapping[str, str], kinds: str) -> list[Sent]:
    """The same with other names, with another number of the order, and with new ids of these kinds."""
    anew = {text: start + secrets.token_hex(16) for text, start in (numbers(model) | made(model, kinds)).items()} | dict(names)
    return [sent.named(anew) for sent in model]


@asynccontextmanager
async def replaying(stage: Stage, scripts: Sequence[Sequence[Sent]], window: int) -> AsyncIterator[Window]:
    """A window carries so many of the scripts out, one after the other."""
    async with AsyncExitStack() as stack:
        roles = {sent.role for sent in scripts[0]}
        bare = {role: await stack.enter_async_context(stage.bare(role.removeprefix("tenon_"), 1)) for role in roles}
        waiting = iter(scripts)

        async def replay() -> None:
            for script in islice(waiting, window):
                await _replay(bare, script)

        yield replay


async def _replay(bare: Mapping[str, Bare], script: Iterable[Sent]) -> None:
    for sent in script:
        await getattr(bare[sent.role].only, sent.method)(sent.sql, *sent.arguments)
