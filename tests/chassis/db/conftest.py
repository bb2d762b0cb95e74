"""A migrated database per test file, doors to it, and a look at it from outside."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.infra.db.connections import Connection
from shared.infra.db.database import Database
from shared.infra.db.migrate import migrate
from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import UnitOfWork
from tests.chassis.db.till import ROOT, SHELF, TILL, connected, transact_of
from tests.support.application import password_of


@pytest.fixture(scope="module")
async def till_url(empty_database: str) -> str:
    await migrate(empty_database, [TILL, SHELF], password_of, root=ROOT)
    return empty_database


@pytest.fixture
async def admin(till_url: str) -> AsyncIterator[Connection]:
    """The superuser's connection, in the till's schema; every test begins with two accounts and nothing recorded."""
    connection = await asyncpg.connect(till_url, server_settings={"search_path": "till"})
    await connection.execute("truncate account, event, task, saga, saga_step, idempotency_key")
    await connection.execute("insert into account (id, balance) values ('a', 100), ('b', 100)")
    yield connection
    await connection.close()


@pytest.fixture
async def database(till_url: str, admin: Connection) -> AsyncIterator[Database]:
    async with connected(till_url) as database:
        yield database


@pytest.fixture
def transact(database: Database) -> Transact[UnitOfWork]:
    return transact_of(database)
