"""Nothing leaves the process inside a transaction: every door that there is refuses, of every module, whatever is behind it."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from entrypoints.container import Root
from modules.notifications.domain.ports import Content, Mail
from modules.notifications.infra.mail import mailer
from shared.domain.guard import OutboundInTransaction, SecondConnection
from shared.infra.db.transact import Transact

MAIL: Final = Mail(id="ntf_1", email="ada@example.org", name="Ada", content=Content(locale="en", subject="s", text="t", html="h"))
FACADES: Final = {"identity": "contacts", "catalog": "offers", "inventory": "available", "payments": "cancel", "orders": "summaries"}
"""An operation of each; all of a facade are made by the same hand."""


def send(container: Root, url: str) -> Awaitable[object]:
    return mailer(url, container.notifications.composer()).send(MAIL)


def facade(module: str) -> Callable[[Root], Awaitable[object]]:
    return lambda container: getattr(getattr(container, module).facade(), FACADES[module])(())


async def subscribe(container: Root) -> object:
    async with container.shared.redis().pubsub() as channel:
        return await channel.subscribe("channel")


DOORS: Final[dict[str, Callable[[Root], Awaitable[Any]]]] = {
    "a mail by SMTP": lambda container: send(container, "smtp://127.0.0.1:1"),
    "a mail into a folder": lambda container: send(container, Path("/nowhere").as_uri()),
    "a command to Redis": lambda container: container.shared.redis().ping(),
    "a pipeline to Redis": lambda container: container.shared.redis().pipeline().get("a").execute(),
    "a subscription to Redis": subscribe,
    "the payment provider": lambda container: container.payments.clearing().reconcile(),
    "a read of one's own on another connection": lambda container: container.orders.database().fetchval("select 1"),
    "a batched read": lambda container: container.catalog.queries().product("prd_1", drafts=True),
    **{f"the facade of {module}": facade(module) for module in FACADES},
}


def modules_with_a_facade(container: Root) -> Iterator[str]:
    for name in (module.name for module in container.modules()):
        if "facade" in getattr(container, name).providers:
            yield name


@pytest.mark.parametrize("door", DOORS)
async def test_a_door_is_shut_inside_a_transaction(container: Root, door: str):
    async def work(_: object) -> None:
        await DOORS[door](container)

    transact: Transact[Any] = container.orders.transact()
    with pytest.raises((OutboundInTransaction, SecondConnection)):
        await transact(work)


async def test_outside_of_one_redis_answers(container: Root):
    assert await container.shared.redis().ping()


async def test_every_facade_is_tried(container: Root):
    assert set(modules_with_a_facade(container)) == FACADES.keys()
