"""Lists of the API on tables of two hundred thousand rows: what is known of each, and how little a page of it may cost.

A module says both in its `tests/<module>/test_lists.py`: the statement that fills its tables, and one `List` for each of its lists.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, reduce
from itertools import product
from operator import getitem
from typing import Any, Final
from urllib.parse import urlencode

import asyncpg
import httpx

from entrypoints.commands.describe import routes
from entrypoints.commands.docs import NOWHERE, openapi
from entrypoints.container import Root
from entrypoints.http import create_app
from shared.api.paging import Paging
from shared.infra.config import Settings, load
from shared.infra.db.connections import Connection, connector
from tests.support import application
from tests.support.plans import explain
from tests.support.queries import Sent, Transport, Wire, query_budget
from tests.support.tokens import bearer

ROWS: Final = 200_000
DEEP: Final = ROWS // 2
RARE: Final = 30
LIMIT: Final = 20
MOST_ROWS: Final = 500
MOST_PAGES: Final = 1000

# `rows` counts to ROWS, and `at` is Python's. `rare` of the oldest rows are what few look for: a plan that walks the newest first and
# throws away what it is not asked for reads everything before it finds them.
TOOLS: Final = f"""
create function pg_temp.at(prefix text, n bigint) returns text immutable language sql return prefix || '_' || lpad(to_hex(n), 32, '0');
create temporary view rows as select n, {RARE} as rare from generate_series(1, {ROWS}) n
"""


def at(prefix: str, row: int) -> str:
    """The id of a row; ids are in the order of time."""
    return f"{prefix}_{row:032x}"


ADMIN: Final = at("usr", 3)


@dataclass(frozen=True, kw_only=True)
class List:
    """`deep` are the keys of a row in the middle of the table, by order; `filters` those values that the document does not list.

    `of` is what the list belongs to. `as_` are the callers: a user, a role, or nobody. `refuses` says which order goes with which
    filters not at all. `rows` and `pages` are how much a page may read where that is more than usual, and `because` why.
    """

    budget: int = 1
    deep: Mapping[str, tuple[str | int, ...]]
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    of: str = ""
    as_: Sequence[str] = ("admin",)
    refuses: Callable[[str, Mapping[str, str]], bool] = lambda sort, wanted: False
    rows: int = MOST_ROWS
    pages: int = MOST_PAGES
    because: str = ""


def by_id(prefix: str, **more: Any) -> List:
    """A list in the order of its ids."""
    return List(deep={"": (at(prefix, DEEP),)}, **more)


@dataclass(frozen=True)
class Documented:
    """A list as the documentation tells it: its filters, each with all values if they are known, and its orders."""

    path: str
    filters: Mapping[str, Sequence[str]]
    required: frozenset[str]
    sorts: Sequence[str]

    def ways(self, known: List) -> Iterator[tuple[str, dict[str, str]]]:
        """Every order with every combination of the filters' values, each filter also left out."""
        values = [
            [{name: value} for value in listed or known.filters[name]] + ([] if name in self.required else [{}])
            for name, listed in self.filters.items()
        ]
        for sort in self.sorts:
            for chosen in product(*values):
                wanted = {name: value for choice in chosen for name, value in choice.items()}
                if not known.refuses(sort, wanted):
                    yield sort, wanted


@cache
def documented() -> Mapping[str, Documented]:
    """Every list of the API, by its operation."""
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


def of_modules() -> Mapping[str, set[str]]:
    """The lists of each module that has any."""
    found: dict[str, set[str]] = {}
    for row in routes(create_app(Root(settings=load(NOWHERE)))):
        if row.operation in documented():
            found.setdefault(row.module, set()).add(row.operation)
    return found


class Crowded:
    """The application on a database in which one module has long been in use; what it says to the database is heard."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.database_url
        self._wire = Wire()
        self._root = Root(settings=settings)
        connect = connector(self._url, application.password_of)
        self._root.shared.connect.override(self._wire.tapped(connect))  # before any module has taken its connections
        transport = Transport(create_app(self._root))  # type: ignore[arg-type]  # Litestar types its scope more narrowly
        self._client = httpx.AsyncClient(transport=transport, base_url="http://test")
        self._probes: dict[str, Connection] = {}

    async def check(self, name: str, known: List) -> None:
        """Every page costs its budget, scans no table, and reads little, at the beginning and deep down."""
        told = documented()[name]
        path = re.sub(r"\{.*\}", known.of, told.path)
        for who, (sort, wanted) in product(known.as_, told.ways(known)):
            order = {"sort": sort} if sort else {}
            deep = Paging(path, wanted, LIMIT, sort, None, self._root.shared.signer())._write(known.deep[sort])
            for cursor in ({}, {"cursor": deep}):
                asked = {**wanted, **order, **cursor, "limit": str(LIMIT)}
                for sent in await self._sent(known.budget, path, asked, self._headers(who)):
                    plan = await explain(await self._probe(sent.role), sent.sql, sent.arguments)
                    where = f"{wanted} {order} {'deep down ' if cursor else ''}as {who or 'anybody'}"
                    found = f"{name} {where} reads {plan.read()} rows, {plan.pages()} pages"
                    assert not plan.scanned(), f"{found}, and all of {plan.scanned()}: {plan}"
                    assert plan.read() <= known.rows, f"{found}: {plan}"
                    assert plan.pages() <= known.pages, f"{found}: {plan}"

    async def close(self) -> None:
        for probe in self._probes.values():
            await probe.close()
        await self._client.aclose()
        await application.close(self._root.shared)

    async def _sent(self, budget: int, path: str, query: Mapping[str, str], headers: dict[str, str]) -> list[Sent]:
        await self._wire.heard()
        with query_budget(budget):
            answer = await self._client.get(f"{path}?{urlencode(query)}", headers=headers)
        assert answer.status_code == 200, f"{path} {query}: {answer.text}"
        sent = await self._wire.heard()
        assert sent, f"{path} {query} asks the database nothing"
        return sent

    def _headers(self, who: str) -> dict[str, str]:
        if who.startswith("usr_"):
            return bearer(self._root, ["customer"], user_id=who)
        return bearer(self._root, [who], user_id=ADMIN) if who else {}

    async def _probe(self, role: str) -> Connection:
        if role not in self._probes:
            self._probes[role] = await asyncpg.connect(self._url, user=role, password=application.password_of(role))
        return self._probes[role]


def check_known(module: str, lists: Mapping[str, List]) -> None:
    """No list of the module, no filter and no order is missing in `lists`."""
    assert lists.keys() == of_modules().get(module, set())
    for name, known in lists.items():
        told = documented()[name]
        assert known.filters.keys() == {each for each, values in told.filters.items() if not values}, name
        assert known.deep.keys() == set(told.sorts), name
        assert bool(known.because) == ((known.rows, known.pages) != (MOST_ROWS, MOST_PAGES)), name


async def check_pages(settings: Settings, module: str, filling: str, lists: Mapping[str, List]) -> None:
    """`filling` runs in the schema of the module, and finds TOOLS there."""
    await fill(settings.database_url, module, filling)
    crowded = Crowded(settings)
    try:
        for name, known in lists.items():
            await crowded.check(name, known)
    finally:
        await crowded.close()


async def fill(admin_dsn: str, module: str, filling: str) -> None:
    """As the superuser, and without the modules' own checks, which have tests of their own."""
    settings = {"search_path": f"{module}, pg_temp", "session_replication_role": "replica", "maintenance_work_mem": "128MB"}
    admin = await asyncpg.connect(admin_dsn, server_settings=settings)
    try:
        await admin.execute(TOOLS)
        async with _without_indexes(admin, module):
            await admin.execute(re.sub(r"\bat\('", "pg_temp.at('", filling))
        filled = ", ".join(re.findall(r"insert into (\w+)", filling))
        await admin.execute(f"analyze {filled}")
    finally:
        await admin.close()


@asynccontextmanager
async def _without_indexes(admin: Connection, module: str) -> AsyncIterator[None]:
    """Those that no constraint needs are built at the end, which is faster by far."""
    indexes = await admin.fetch(
        "select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as made from pg_index"
        " join pg_class c on c.oid = indrelid where relnamespace = $1::regnamespace and relkind = 'r' and not relispartition"
        " and not exists (select from pg_constraint where conindid = indexrelid)",
        module,
    )
    for index in indexes:
        await admin.execute(f"drop index {index['name']}")
    yield
    for index in indexes:
        await admin.execute(index["made"])
