"""Every list of the API on tables of two hundred thousand rows: a page costs a statement or two, and reads little more than it shows.

Here is what is known about each list; one that is missing here, or a filter without values, fails.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import product
from operator import getitem
from typing import Any, Final
from urllib.parse import urlencode

import asyncpg
import httpx
import pytest

from entrypoints.container import Root
from entrypoints.docs import openapi
from entrypoints.http import create_app
from shared.api.paging import Paging
from shared.infra.config import Settings
from shared.infra.db.connections import Connection, connector
from tests.journeys import crowds
from tests.journeys.crowds import ROWS, at
from tests.support import application
from tests.support.plans import explain
from tests.support.queries import Sent, Transport, Wire, query_budget
from tests.support.tokens import bearer

pytestmark = pytest.mark.slow

LIMIT: Final = 20
DEEP: Final = ROWS // 2
MOST_ROWS: Final = 500
MOST_PAGES: Final = 1000


@dataclass(frozen=True, kw_only=True)
class List:
    """`deep` are the keys of a row in the middle of the table, by order; `filters` those values that the document does not list.

    `of` is what the list belongs to. `as_` are the callers, a user or a role. `refuses` says which order goes with which filters not
    at all. `rows` and `pages` are how much a page may read where that is more than usual, and `because` why.
    """

    budget: int = 1
    deep: Mapping[str, tuple[str | int, ...]]
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    as_: Sequence[str] = ("admin",)
    of: str = ""
    refuses: Callable[[str, Mapping[str, str]], bool] = lambda sort, wanted: False
    rows: int = MOST_ROWS
    pages: int = MOST_PAGES
    because: str = ""


def by_id(prefix: str, **more: Any) -> List:
    return List(deep={"": (at(prefix, DEEP),)}, **more)


OLD, NEW = "2026-01-01T00:00:20Z", "2026-01-03T07:00:00Z"
LISTS: Final[Mapping[str, List]] = {
    "listUsers": by_id("usr", budget=2),
    "listCategories": List(deep={"": (f"Category {DEEP}", at("cat", DEEP))}, filters={"parent": [at("cat", 1), at("cat", 2)]}),
    "listProducts": List(
        deep={
            **dict.fromkeys(("created_at", "-created_at"), ("2026-01-02T03:46:40+00:00", at("prd", DEEP))),
            **dict.fromkeys(("title", "-title"), ("Stool 8", at("prd", DEEP))),
        },
        filters={
            "category": [at("cat", 2), at("cat", 3)],
            "created_at[gte]": [OLD, NEW],
            "created_at[lt]": [OLD, NEW],
        },
        refuses=lambda sort, wanted: sort.endswith("title") and not wanted.keys().isdisjoint({"created_at[gte]", "created_at[lt]"}),
        rows=5000,
        pages=5000,
        because="one walk for each status and each category below the one that is asked for, of a whole page at most",
    ),
    "searchProducts": List(
        deep={"": (1_000_000, at("prd", DEEP))},
        filters={"q": ["oak st", "relic", "nothing"], "category": [at("cat", 2), at("cat", 3)]},
        as_=["admin", ""],
        rows=6000,
        pages=8000,
        because="what matches is ranked, and there is a bound to how much that is",
    ),
    "listStockLocations": by_id("loc"),
    "listStockLevels": List(
        deep={"": ("EVERYWHERE", at("loc", DEEP))},
        filters={"sku": ["S00001000", "EVERYWHERE"], "location": [at("loc", 1), at("loc", DEEP)]},
    ),
    "listStockMovements": by_id("mov", filters={"sku": ["RARE", "S00000001"]}),
    "listPaymentIntents": by_id("pay", filters={"reference": ["rare", "common"]}),
    "listRefunds": by_id("att", filters={"payment_intent": [at("pay", 1), at("pay", 2)]}),
    "listLedgerTransactions": by_id("ltx", budget=2, filters={"source_id": [at("att", 1)]}),
    "listOrders": by_id("ord", as_=["admin", at("usr", 1), at("usr", 2)]),
    "listTimelineEntries": List(deep={"": (DEEP,)}, of=at("ord", 1000), as_=["admin", at("usr", 2)]),
    "listNotifications": by_id("ntf", filters={"about": [at("ord", 1), at("ord", 2)]}),
}


@dataclass(frozen=True)
class Documented:
    """A list as the documentation tells it: its filters, each with all values if they are known, and its orders."""

    path: str
    filters: Mapping[str, Sequence[str]]
    required: frozenset[str]
    sorts: Sequence[str]


def documented() -> Mapping[str, Documented]:
    document = json.loads(openapi())

    def resolved(node: Any) -> Any:
        return reduce(getitem, node["$ref"].split("/")[1:], document) if "$ref" in node else node

    found = {}
    for path, operation in ((path, item["get"]) for path, item in document["paths"].items() if "get" in item):
        query = {each["name"]: each for each in map(resolved, operation["parameters"]) if each["in"] == "query"}
        if "limit" in query:
            values = {name: resolved(each["schema"]).get("enum", ()) for name, each in query.items()}
            filters = {name: values[name] for name in values if name not in ("limit", "cursor", "sort")}
            required = frozenset(name for name in filters if query[name]["required"])
            found[operation["operationId"]] = Documented(path, filters, required, values.get("sort", ("",)))
    return found


DOCUMENTED: Final = documented()


def test_every_list_is_known_here_with_all_of_its_filters_and_orders():
    assert LISTS.keys() == DOCUMENTED.keys()
    for name, known in LISTS.items():
        told = DOCUMENTED[name]
        assert known.filters.keys() == {each for each, values in told.filters.items() if not values}, name
        assert known.deep.keys() == set(told.sorts), name
        assert bool(known.because) == (known.pages != MOST_PAGES), name


def ways(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Every order with every combination of the filters' values, each filter also left out."""
    told, known = DOCUMENTED[name], LISTS[name]
    values = [
        [{each: value} for value in listed or known.filters[each]] + ([] if each in told.required else [{}])
        for each, listed in told.filters.items()
    ]
    for sort in told.sorts:
        for chosen in product(*values):
            wanted = {each: value for choice in chosen for each, value in choice.items()}
            if not known.refuses(sort, wanted):
                yield sort, wanted


class Shop:
    """The shop of crowds.py, whose words with the database are heard."""

    def __init__(self, root: Root, client: httpx.AsyncClient, wire: Wire, settings: Settings) -> None:
        self._root = root
        self._client = client
        self._wire = wire
        self._settings = settings
        self._probes: dict[str, Connection] = {}

    def headers(self, who: str) -> dict[str, str]:
        if who.startswith("usr_"):
            return bearer(self._root, ["customer"], user_id=who)
        return bearer(self._root, [who], user_id=crowds.ADMIN) if who else {}

    def deep(self, path: str, wanted: Mapping[str, str], sort: str, keys: tuple[str | int, ...]) -> str:
        """The cursor of a page in the middle, which nobody would want to walk to."""
        return Paging(path, dict(wanted), LIMIT, sort, None, self._root.shared.signer())._write(keys)

    async def sent(self, budget: int, path: str, query: Mapping[str, str], headers: dict[str, str]) -> list[Sent]:
        """What a request sends to the database."""
        await self._wire.heard()
        with query_budget(budget):
            answer = await self._client.get(f"{path}?{urlencode(query)}", headers=headers)
        assert answer.status_code == 200, f"{path} {query}: {answer.text}"
        sent = await self._wire.heard()
        assert sent
        return sent

    async def probe(self, role: str) -> Connection:
        if role not in self._probes:
            self._probes[role] = await asyncpg.connect(self._settings.database_url, user=role, password=application.password_of(role))
        return self._probes[role]

    async def close(self) -> None:
        for probe in self._probes.values():
            await probe.close()


@pytest.fixture(scope="module")
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    await crowds.fill(settings.database_url)
    wire, root = Wire(), Root(settings=settings)
    connect = connector(settings.database_url, application.password_of)
    root.shared.connect.override(wire.tapped(connect))  # before any module has taken its connections
    transport = Transport(create_app(root))  # type: ignore[arg-type]  # Litestar types its scope more narrowly
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        shop = Shop(root, client, wire, settings)
        yield shop
        await shop.close()
    await application.close(root.shared)


@pytest.mark.parametrize("name", LISTS)
async def test_a_page_reads_little_more_than_it_shows_wherever_it_is(shop: Shop, name: str):
    told, known = DOCUMENTED[name], LISTS[name]
    path = re.sub(r"\{.*\}", known.of, told.path)
    for who, (sort, wanted) in product(known.as_, ways(name)):
        order = {"sort": sort} if sort else {}
        deep = shop.deep(path, wanted, sort, known.deep[sort])
        for cursor in ({}, {"cursor": deep}):
            asked = {**wanted, **order, **cursor, "limit": str(LIMIT)}
            for sent in await shop.sent(known.budget, path, asked, shop.headers(who)):
                plan = await explain(await shop.probe(sent.role), sent.sql, sent.arguments)
                where = f"{wanted} {order} {'deep down ' if cursor else ''}as {who or 'anybody'}"
                found = f"{name} {where} reads {plan.read()} rows, {plan.pages()} pages"
                assert not plan.scanned(), f"{found}, and all of {plan.scanned()}: {plan}"
                assert plan.read() <= known.rows, f"{found}: {plan}"
                assert plan.pages() <= known.pages, f"{found}: {plan}"


async def test_a_plan_that_reads_too_much_is_found(shop: Shop):
    """By its scan, by what it throws away, and by its pages."""
    probe = await shop.probe("tenon_orders")
    guessing = "select id from customer_order where status <> 'draft' and ($1::text is null or status = $1) order by id desc limit 20"
    plan = await explain(probe, guessing, ["cancelled"])
    assert plan.read() > MOST_ROWS
    assert plan.pages() > MOST_PAGES
    everything = await explain(probe, "select max(total) from customer_order", [])
    assert everything.scanned() == {"customer_order"}
