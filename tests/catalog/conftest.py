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
from shared.api.wiring import build_app
from shared.container import SharedContainer
from shared.infra.config import Settings
from shared.infra.db.connections import Connection
from shared.infra.db.migrate import ModuleSchema, migrate
from shared.infra.secrets import Secret, role_password
from tests.support.application import SECRET
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
    settings = Settings(
        environment="test",
        database_url=empty_database,
        db_secret=Secret(SECRET),
        secret=Secret(SECRET),
        redis_url=valkey_url,
        public_url="http://test",
        mail_url="file:///nowhere",
    )
    await migrate(empty_database, [ModuleSchema("catalog")], role_password(settings.db_secret))
    shared = SharedContainer(settings=settings)
    shared.clock.override(providers.Object(clock))
    yield CatalogContainer(shared=shared)
    await shared.connections().close()


@pytest.fixture
async def shop(empty_database: str, wired: CatalogContainer, clock: StoppedClock) -> AsyncIterator[Shop]:
    """With nothing in it."""
    admin = await asyncpg.connect(empty_database, server_settings={"search_path": "catalog"})
    await admin.execute("truncate price, variant, product, category, event")
    yield Shop(wired.products(), wired.categories(), clock, admin)
    await admin.close()


@pytest.fixture(scope="module")
async def client(wired: CatalogContainer) -> AsyncIterator[httpx.AsyncClient]:
    """The API with the routes of the catalog alone."""
    shared = wired.shared
    app = build_app([wired.module()], authenticator=shared.verifier(), signer=shared.signer(), public_url="http://test")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]  # both spell ASGI, each in its own types
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture(scope="module")
def manager(wired: CatalogContainer) -> dict[str, str]:
    return bearer(wired, ["manager"])


@pytest.fixture(scope="module")
def customer(wired: CatalogContainer) -> dict[str, str]:
    return bearer(wired, ["customer"])
