"""The front of the shop is read from Postgres once for everybody, is never older than it may be, and shows nobody a draft."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from random import Random
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from entrypoints.container import Root
from entrypoints.process import build_worker
from modules.catalog.infra.cached import Front, FrontPage
from shared.infra.config import Settings
from tests.chassis.cache.conftest import Breakable
from tests.support import application
from tests.support.shop import Shop
from tests.support.time import let_time_pass
from tests.support.tokens import bearer

FRONT = "/v1/products?limit=50"

Budget = Callable[[int], AbstractContextManager[Any]]


@pytest.fixture
def breakable():
    server = Breakable()
    yield server
    server.stop()


class Process:
    """One of several that share databases: its API, its worker, and somebody who furnishes the shop by it."""

    def __init__(self, root: Root, client: httpx.AsyncClient) -> None:
        self.root = root
        self.client = client
        self.shop = Shop(client, root)
        self.admin = self.shop.admin
        self.settle = build_worker(root).drain

    async def front(self, path: str = FRONT, **headers: str) -> list[tuple[str, str]]:
        """Slug and title of each product."""
        answer = (await self.client.get(path, headers=headers)).raise_for_status()
        return [(product["slug"], product["title"]) for product in answer.json()["data"]]

    async def product(self, slug: str, *, published: bool = True) -> str:
        """Its address."""
        body = {"title": slug.title(), "slug": slug, "variants": [{"sku": slug.upper(), "prices": [price(100)]}]}
        made = (await self.client.post("/v1/products", json=body, headers=self.admin)).raise_for_status()
        if published:
            await self.act(made.headers["location"], "publish")
        return str(made.headers["location"])

    async def act(self, address: str, verb: str) -> None:
        (await self.client.post(f"{address}/{verb}", headers=self.admin)).raise_for_status()

    async def rename(self, address: str, title: str) -> None:
        (await self.client.patch(address, json={"title": title}, headers={**self.admin, "If-Match": "*"})).raise_for_status()


def price(amount: int) -> dict[str, object]:
    return {"list_price": {"amount": amount, "currency": "USD"}}


@asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[Process]:
    async with application.composed(settings) as root, application.client(root) as client:
        yield Process(root, client)


@pytest.fixture(scope="module")
async def here(settings: Settings) -> AsyncIterator[Process]:
    async with process(settings) as one:
        yield one


@pytest.fixture(scope="module")
async def elsewhere(settings: Settings) -> AsyncIterator[Process]:
    async with process(settings) as other:
        yield other


@pytest.fixture(autouse=True)
async def nothing_for_sale(here: Process, admin_dsn: str) -> None:
    await here.settle()
    admin = await asyncpg.connect(admin_dsn)
    await admin.execute("truncate catalog.price, catalog.variant, catalog.product")
    await admin.close()
    await here.root.catalog.queries().renew()


async def test_a_front_page_is_read_once_for_everybody_and_is_the_same_to_the_byte(
    here: Process, elsewhere: Process, query_budget: Budget
) -> None:
    for slug in ("oak", "ash", "elm"):
        await here.product(slug)
    for path in (FRONT, "/v1/products?limit=2&sort=title", "/v1/products"):
        with query_budget(1) as spent:
            first = await here.client.get(path)
        assert spent.count == 1
        with query_budget(0):
            again, other = await here.client.get(path), await elsewhere.client.get(path)
        assert first.content == again.content == other.content
        assert first.headers.get("link") == again.headers.get("link") == other.headers.get("link")
    uncached = await here.client.get(FRONT, headers=here.admin)
    assert (await here.client.get(FRONT)).json() == uncached.json()


async def test_who_changes_something_sees_it_at_once_and_others_when_the_event_has_come(here: Process, elsewhere: Process) -> None:
    address = await here.product("oak")
    await here.settle()
    assert await here.front() == await elsewhere.front() == [("oak", "Oak")]

    await here.rename(address, "Old oak")
    await elsewhere.settle()
    assert await elsewhere.front() == [("oak", "Old oak")]

    await here.rename(address, "Very old oak")
    assert await here.front() == [("oak", "Very old oak")]
    assert await elsewhere.front() == [("oak", "Very old oak")], "told by the one that asked"


async def test_what_must_be_true_now_is_not_kept(here: Process, elsewhere: Process, query_budget: Budget) -> None:
    """No event is delivered in this test: prices for carts, a product with its entity tag, other pages, searches."""
    address = await here.product("oak")
    await here.product("ash")
    known = await elsewhere.client.get(address)
    [variant] = known.json()["variants"]
    await elsewhere.root.catalog.facade().offers([variant["id"]], "USD")

    put = await here.client.put(f"/v1/variants/{variant['id']}/prices/USD", json=price(250), headers={**here.admin, "If-Match": "*"})
    put.raise_for_status()
    [offer] = await elsewhere.root.catalog.facade().offers([variant["id"]], "USD")
    assert offer.price is not None
    assert offer.price.amount == 250
    assert (await elsewhere.client.get(address, headers={"If-None-Match": known.headers["etag"]})).json()["version"] == 3
    assert (await elsewhere.client.get(address, headers={"If-None-Match": put.headers["etag"]})).status_code == 304

    cursor = (await here.client.get("/v1/products?limit=1")).json()["next_cursor"]
    for path in (f"/v1/products?limit=1&cursor={cursor}", "/v1/products?created_at[gte]=2020-01-01T00:00:00Z", "/v1/products/search?q=oak"):
        for _ in range(2):
            with query_budget(1) as spent:
                (await here.client.get(path)).raise_for_status()
            assert spent.count == 1, path


async def test_a_draft_that_staff_sees_is_never_shown_to_others_whoever_asks_first(here: Process, elsewhere: Process) -> None:
    await here.product("published")
    await here.product("draft", published=False)
    await here.act(await here.product("archived"), "archive")
    everything, public = {"published", "draft", "archived"}, {"published"}
    asking = [
        ({}, "", public),
        (bearer(here.root, ["customer"]), "", public),
        (bearer(here.root, ["manager"]), "", everything),
        (here.admin, "", everything),
        ({}, "&status=draft", set()),
        (here.admin, "&status=draft", {"draft"}),
        (here.admin, "&status=published", public),
    ]
    order = asking * 10
    Random(7).shuffle(order)

    async def ask(number: int, headers: dict[str, str], query: str, expected: set[str]) -> None:
        seen = await (here, elsewhere)[number % 2].front(FRONT + query, **headers)
        assert {slug for slug, _ in seen} == expected, (headers, query)

    await asyncio.gather(*(ask(number, *each) for number, each in enumerate(order)))
    for number, each in enumerate(order):
        await ask(number, *each)


def test_what_can_be_asked_of_the_front_cannot_name_a_status_or_a_person() -> None:
    assert Front.__struct_fields__ == ("sort", "limit")
    assert FrontPage.__struct_fields__ == ("products",)


async def test_what_is_archived_is_gone(here: Process, elsewhere: Process) -> None:
    address = await here.product("oak")
    assert len(await elsewhere.front()) == 1
    await here.act(address, "archive")
    await here.settle()
    assert await elsewhere.front() == []


async def test_two_processes_on_a_redis_that_dies_and_comes_back(settings: Settings, breakable: Breakable) -> None:
    on_breakable = msgspec.structs.replace(settings, redis_url=breakable.url)
    async with process(on_breakable) as here, process(on_breakable) as elsewhere:
        address = await here.product("oak")
        await here.settle()
        assert await here.front() == await elsewhere.front() == [("oak", "Oak")]
        breakable.hang()
        await here.rename(address, "Old oak")
        assert await here.front() == [("oak", "Old oak")]
        await elsewhere.settle()
        breakable.go_on()
        await let_time_pass(settings.database_url)
        await elsewhere.settle()
        assert await elsewhere.front() == [("oak", "Old oak")]

        breakable.kill()
        await here.rename(address, "Very old oak")
        assert await here.front() == await elsewhere.front() == [("oak", "Very old oak")]
        breakable.start()
        await let_time_pass(settings.database_url)
        await here.settle()
        assert await here.front() == await elsewhere.front() == [("oak", "Very old oak")]
