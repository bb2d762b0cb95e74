"""A request ends at its deadline, and so does what it waits for in the database."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from litestar import Controller
from litestar.di import NamedDependency

from entrypoints.container import Root
from shared.api.answers import Reply, no_content
from shared.api.middleware import EdgeOptions
from shared.api.routes import post
from shared.domain.policy import public
from shared.infra.db.connections import Connections
from shared.infra.db.database import Database
from tests.chassis.api.tiny import TinyModule, tiny
from tests.chassis.waiting import until

ASLEEP = "select count(*) from pg_stat_activity where datname = current_database() and state = 'active' and query like 'select pg_sleep%'"


class Sleeper:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def sleep(self) -> None:
        await self._database.fetchval("select pg_sleep(600)")

    async def work(self) -> int:
        answer: int = await self._database.fetchval("select 1")
        return answer


class SleepRoutes(Controller):
    path = "/v1/sleep"

    @post(operation="sleepLong", status=204, idempotent="never")
    async def sleep(self, sleeper: NamedDependency[Sleeper]) -> Reply[None]:
        """Sleep."""
        await sleeper.sleep()
        return no_content()


@pytest.fixture
async def admin(admin_dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(admin_dsn)
    yield connection
    await connection.close()


async def test_at_the_deadline_the_caller_is_answered_the_statement_cancelled_and_the_connection_free(container: Root, admin):
    connections: Connections = container.shared.connections()
    sleeper = Sleeper(Database(connections, "catalog"))
    module = TinyModule("sleep", [SleepRoutes], {"sleeper": sleeper}, {"sleepLong": public()})
    async with tiny(EdgeOptions(deadline_s=0.3), more=[module]) as app:
        answer = await app.client.post("/v1/sleep")
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "deadline_exceeded", "1")

    async def awake() -> bool:
        return not await admin.fetchval(ASLEEP)

    await until(awake, within_s=5.0)  # half of the time after which the server itself would end it
    assert await sleeper.work() == 1
    assert connections.open <= 1
