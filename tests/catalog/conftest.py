"""The catalog alone, on a real database of the test file's own, with a clock that the test moves."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import httpx
import pytest
from dependency_injector import providers

from modules.catalog.container import CatalogContainer
from modules.catalog.domain.service import CatalogService
from modules.catalog.domain.tree import CategoryService
from shared.infra.db.connections import Connection
from shared.infra.db.migrate import ModuleSchema, migrate
from tests.support import application
from tests.support.tokens import bearer


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


@pytest.fixture(scope="module")
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture(scope="module")
async def wired(empty_database: str, valkey_url: str, clock: StoppedClock) -> AsyncIterator[CatalogContainer]:
    await migrate(empty_database, [ModuleSchema("catalog")], application.password_of)
    shared = application.alone(empty_database, valkey_url)
    shared.clock.override(providers.Object(clock))
    yield CatalogContainer(shared=shared)
    await application.close(shared)


@pytest.fixture
async def shop(empty_database: str, wired: CatalogContainer, clock: StoppedClock) -> AsyncIterator[Shop]:
    """With nothing in it."""
    admin = await asyncpg.connect(empty_database, server_settings={"search_path": "catalog"})
    await admin.execute("truncate price, variant, product, category, event")
    await wired.queries().renew()  # no event tells of that
    yield Shop(wired.products(), wired.categories(), clock, admin)
    await admin.close()


@pytest.fixture(scope="module")
async def client(wired: CatalogContainer) -> AsyncIterator[httpx.AsyncClient]:
    """The API with the routes of the catalog alone."""
    async with application.client_of(wired) as client:
        yield client


@pytest.fixture(scope="module")
def manager(wired: CatalogContainer) -> dict[str, str]:
    return bearer(wired, ["manager"])


@pytest.fixture(scope="module")
def customer(wired: CatalogContainer) -> dict[str, str]:
    return bearer(wired, ["customer"])
