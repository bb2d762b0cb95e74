"""`tenon sagas`, as an operator types it."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import asyncpg
from click.testing import CliRunner, Result

from entrypoints.commands.sagas import sagas
from shared.domain.saga import Saga
from shared.infra.db.connections import Connection, Connections
from shared.infra.db.database import Database
from shared.module import Module
from tests.chassis.saga.shop import Shop, Story, Work


async def typed(shop: Shop, url: str, *arguments: str) -> Result:
    """In a thread, because a command has an event loop of its own."""

    async def connect(_: str) -> Connection:
        return await asyncpg.connect(url, server_settings={"search_path": "shop"})

    def root() -> Any:
        connections = Connections(connect)
        module = Module(name="shop", database=Database(connections, "shop"), work=Work, sagas=[shop.saga])
        plain = Module(name="plain", database=Database(connections, "plain"), work=Work)
        settings = SimpleNamespace(modules=(), db_connections=24)
        return SimpleNamespace(
            modules=lambda: [plain, module], settings=lambda: settings, shared=SimpleNamespace(connections=lambda: connections)
        )

    def type_it() -> Result:
        return CliRunner(env={"COLUMNS": "300"}).invoke(sagas, arguments, obj=root)

    return await asyncio.to_thread(type_it)


async def test_an_operator_finds_a_stuck_saga_looks_at_it_and_lets_it_go_on(shop_url):
    script = {"capture": ["busy"] * Saga.RETRIES_BEFORE_STUCK + ["ok"]}
    async with Shop(shop_url, script=script) as shop:
        await shop.buy("held up")
        await shop.drain()
        saga_id = str(await shop.database.fetchval("select id from saga where key = 'held up'"))
        listed = await typed(shop, shop_url, "list", "--state", "stuck")
        shown = json.loads((await typed(shop, shop_url, "show", saga_id)).stdout)
        resumed = await typed(shop, shop_url, "resume", saga_id)
        await shop.drain()
        story = await Story.of(shop, "held up")
        again = await typed(shop, shop_url, "resume", saga_id)
    assert saga_id in listed.stdout
    assert "held up" in listed.stdout
    assert shown["saga"]["state"] == "stuck"
    assert {step["step"]: step["state"] for step in shown["steps"]}["capture"] == "sent"
    assert resumed.exit_code == 0
    assert story.state == "done"
    assert again.exit_code == 1


async def test_what_has_ended_is_listed_only_when_asked_for_a_page_at_a_time(shop_url):
    async with Shop(shop_url) as shop:
        for n in range(3):
            await shop.buy(f"ended {n}")
        default = await typed(shop, shop_url, "list")
        first = await typed(shop, shop_url, "list", "--state", "done", "--limit", "2")
        ids = [row["id"] for row in await shop.database.fetch("select id from saga where key like 'ended %' order by id desc")]
        rest = await typed(shop, shop_url, "list", "--state", "done", "--limit", "1", "--before", ids[1])
    assert not any(saga_id in default.stdout for saga_id in ids)
    assert [saga_id in first.stdout for saga_id in ids] == [True, True, False]
    assert [saga_id in rest.stdout for saga_id in ids] == [False, False, True]


async def test_an_unknown_saga_is_said_so(shop_url):
    async with Shop(shop_url) as shop:
        answer = await typed(shop, shop_url, "show", "sag_unknown")
    assert answer.exit_code == 1
    assert "there is no saga sag_unknown" in answer.output
