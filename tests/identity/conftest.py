"""The module of identity on a real database, with cheap passwords."""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from litestar import Litestar

from modules.identity.container import IdentityContainer
from shared.api.middleware import EdgeOptions
from shared.api.wiring import build_app
from shared.infra.db.connections import Connection
from shared.infra.db.migrate import ModuleSchema, migrate
from tests.support import application


@pytest.fixture(scope="module")
async def wired(empty_database: str, valkey_url: str) -> AsyncIterator[IdentityContainer]:
    await migrate(empty_database, [ModuleSchema("identity")], application.password_of)
    shared = application.alone(empty_database, valkey_url, password_memory_kib=8, db_connections=60)
    yield IdentityContainer(shared=shared)
    await application.close(shared)


@pytest.fixture
async def admin(empty_database: str, wired: IdentityContainer) -> AsyncIterator[Connection]:
    """The superuser's connection, in identity's schema, for looking at what nobody else sees and for moving time."""
    connection = await asyncpg.connect(empty_database, server_settings={"search_path": "identity"})
    yield connection
    await connection.close()


@pytest.fixture
async def identity(wired: IdentityContainer, admin: Connection) -> IdentityContainer:
    """With nobody registered."""
    await admin.execute("truncate account, mailed_link, session, refresh_token, attempt, event, task")
    return wired


@pytest.fixture(scope="module")
async def app(wired: IdentityContainer) -> Litestar:
    """The API with the routes of identity alone."""
    shared = wired.shared
    return build_app(
        [wired.module()], authenticator=shared.verifier(), limits=shared.limits(), signer=shared.signer(),
        public_url="https://shop.example", options=EdgeOptions(rate_scale=shared.settings().rate_scale),
    )  # fmt: skip


@pytest.fixture
async def client(app: Litestar, identity: IdentityContainer) -> AsyncIterator[httpx.AsyncClient]:
    async with application.speaking_to(app) as client:
        yield client
