"""The module of identity on a real database, with cheap passwords."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from modules.identity.container import IdentityContainer
from shared.container import SharedContainer
from shared.infra.config import Settings
from shared.infra.db.connections import Connection
from shared.infra.db.migrate import ModuleSchema, migrate
from shared.infra.secrets import Secret, role_password

ROOT_SECRET = Secret("a root secret for the tests of identity")


@pytest.fixture(scope="module")
async def wired(empty_database: str, valkey_url: str) -> AsyncIterator[IdentityContainer]:
    settings = Settings(
        environment="test",
        database_url=empty_database,
        db_secret=Secret("a database secret for the tests of identity"),
        secret=ROOT_SECRET,
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
