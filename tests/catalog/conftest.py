"""The catalog on a real database of the test file's own, with a clock that the test moves."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import pytest

from modules.catalog.domain.service import CatalogService
from modules.catalog.domain.tree import CategoryService
from modules.catalog.infra.queries import SqlCatalogQueries
from modules.catalog.infra.work import SqlWork
from modules.catalog.public import PUBLISHES
from shared.infra.db.connections import Connection, Connections, connector
from shared.infra.db.database import Database
from shared.infra.db.migrate import ModuleSchema, migrate
from shared.infra.db.transact import Transact


class StoppedClock:
    def __init__(self) -> None:
        self.time = datetime(2026, 5, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


@dataclass(frozen=True)
class Shop:
    products: CatalogService
    categories: CategoryService
    clock: StoppedClock
    admin: Connection

    async def told(self) -> list[str]:
        """The types of all events, in order."""
        return [row[0] for row in await self.admin.fetch("select type from event order by id")]


def password_of(role: str) -> str:
    return f"password of {role}"


@pytest.fixture(scope="module")
async def catalog_url(empty_database: str) -> str:
    await migrate(empty_database, [ModuleSchema("catalog")], password_of)
    return empty_database


@pytest.fixture
async def shop(catalog_url: str) -> AsyncIterator[Shop]:
    admin = await asyncpg.connect(catalog_url, server_settings={"search_path": "catalog"})
    await admin.execute("truncate price, variant, product, category, event")
    connections = Connections(connector(catalog_url, password_of))
    database = Database(connections, "catalog")
    transact = Transact(database, SqlWork, events=PUBLISHES)
    queries, clock = SqlCatalogQueries(database), StoppedClock()
    yield Shop(CatalogService(transact, queries, clock), CategoryService(transact, queries), clock, admin)
    await connections.close()
    await admin.close()
