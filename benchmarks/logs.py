"""Two small modules in a database of their own, one that publishes and one that listens, and what is seen of their events."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

import asyncpg

from benchmarks.stage import Stage
from shared.domain.events import Delivery
from shared.infra.db.connections import Connections
from shared.infra.db.unit_of_work import Recorded
from shared.infra.supervisor import supervised
from shared.infra.worker import Worker
from shared.module import Module
from tests.chassis import two_modules
from tests.chassis.two_modules import Keeping, Made, Maker, Seen
from tests.support import databases
from tests.support.run import Run

CONNECTIONS = 24


@dataclass(frozen=True)
class Logs:
    """`admin` is a superuser's connection."""

    url: str
    connections: Connections
    admin: asyncpg.Connection
    maker: Module
    make: Maker


@asynccontextmanager
async def logs(stage: Stage, *subscriptions: str) -> AsyncIterator[Logs]:
    run = Run({"id": f"tenon_bench_{secrets.token_hex(4)}", "postgres": stage.settings.database_url})
    async with databases.lent(run) as url:
        await two_modules.lay_out(url)
        await two_modules.subscribe(url, *subscriptions)
        connections = two_modules.connect(url, CONNECTIONS)
        admin = await asyncpg.connect(url)
        maker = two_modules.maker(connections)
        try:
            yield Logs(url, connections, admin, maker, Maker(maker))
        finally:
            await admin.close()
            await connections.close()


@asynccontextmanager
async def working(*modules: Module) -> AsyncIterator[None]:
    """The loops of a worker."""
    async with supervised(Worker(modules).loops()):
        yield


@dataclass
class Watch:
    """When each event was committed, and when what it has caused was, by its note."""

    committed: dict[str, float] = field(default_factory=dict)
    done: dict[str, float] = field(default_factory=dict)
    _handled: list[str] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def over(self, maker: Module, keeper: Module) -> None:
        maker.database.on_commit(self._made)
        keeper.database.on_commit(self._kept)

    async def handle(self, work: Keeping, delivery: Delivery[Seen]) -> None:
        await work.note(delivery)
        self._handled.append(delivery.data.note)

    async def until(self, *notes: str) -> None:
        while not self.done.keys() >= set(notes):
            self._more.clear()
            await self._more.wait()

    def _made(self, recorded: Recorded) -> None:
        now = perf_counter()
        self.committed |= {new.event.note: now for new in recorded.events if isinstance(new.event, Made)}

    def _kept(self, recorded: Recorded) -> None:
        now = perf_counter()
        self.done |= dict.fromkeys(self._handled, now)
        self._handled.clear()
        self._more.set()


async def steadily(rate: int, number: int, work: Callable[[int], Awaitable[object]]) -> None:
    """So many a second, whether the earlier ones are done or not."""
    began = perf_counter()
    async with asyncio.TaskGroup() as group:
        for at in range(number):
            await asyncio.sleep(max(0.0, began + at / rate - perf_counter()))
            group.create_task(_awaited(partial(work, at)))


async def _awaited(work: Callable[[], Awaitable[object]]) -> None:
    await work()
