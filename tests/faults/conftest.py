"""The till of tests/chassis/db, seen through a wire that can be cut."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.infra.db.connections import Connection
from shared.infra.db.migrate import migrate
from tests.chassis.db.till import ROOT, TILL
from tests.faults.proxy import Proxy
from tests.support.application import password_of


@pytest.fixture(scope="module")
async def till_url(empty_database: str) -> str:
    await migrate(empty_database, [TILL], password_of, root=ROOT)
    return empty_database


@pytest.fixture
async def admin(till_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(till_url, server_settings={"search_path": "till"})
    await connection.execute("truncate account, event, task, saga, saga_step, idempotency_key")
    await connection.execute("insert into account (id, balance) values ('a', 100), ('b', 100)")
    yield connection
    await connection.close()


@pytest.fixture
async def proxy(till_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(till_url).running() as proxy:
        yield proxy
