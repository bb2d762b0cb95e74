"""The module of identity on a real database, with cheap passwords."""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from litestar import Litestar

from modules.identity.container import IdentityContainer
from shared.api.wiring import build_app
from shared.container import SharedContainer
from shared.infra.config import Settings
from shared.infra.db.connections import Connection
from shared.infra.db.migrate import ModuleSchema, migrate
from shared.infra.secrets import Secret, role_password
from tests.support.application import SECRET


@pytest.fixture(scope="module")
async def wired(empty_database: str, valkey_url: str) -> AsyncIterator[IdentityContainer]:
    settings = Settings(
        environment="test",
        database_url=empty_database,
        db_secret=Secret(SECRET),
        secret=Secret(SECRET),
        redis_url=valkey_url,
        public_url="https://shop.example",
        mail_url="file:///nowhere",
        password_memory_kib=8,
        db_connections=60,
    )
    await migrate(empty_database, [ModuleSchema("identity")], role_password(settings.db_secret))
    shared = SharedContainer(settings=settings)
    yield IdentityContainer(shared=shared)
    await shared.connections().close()


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
    return build_app([wired.module()], authenticator=shared.verifier(), signer=shared.signer(), public_url="https://shop.example")


@pytest.fixture
async def client(app: Litestar, identity: IdentityContainer) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]  # both spell ASGI, each in its own types
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
