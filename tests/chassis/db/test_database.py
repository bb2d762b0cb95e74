"""Reads outside transactions: as the module's role, without ceremony, in spite of dead connections."""

import asyncio

import asyncpg
import pytest

from shared.domain.context import Context, begin
from shared.domain.errors import CommitOutcomeUnknown
from shared.infra.db.connections import Connections
from shared.infra.db.database import Database, only_reads
from shared.infra.db.errors import DatabaseUnavailable
from tests.chassis.db.till import Account, connected

ACCOUNTS = "select id, balance, version from account order by id"


async def test_rows_become_structs_by_position(database):
    assert await database.views(Account, ACCOUNTS) == [Account("a", 100, 1), Account("b", 100, 1)]
    assert await database.view(Account, "select id, balance, version from account where id = $1", "b") == Account("b", 100, 1)
    assert await database.view(Account, "select id, balance, version from account where id = $1", "c") is None
    assert await database.fetchval("select count(*) from account") == 2


async def test_a_statement_outside_a_transaction_commits_by_itself(database, admin):
    await database.fetch("update account set balance = 7 where id = 'a'")
    assert await admin.fetchval("select balance from account where id = 'a'") == 7


async def test_it_runs_as_the_modules_role_in_the_modules_schema(database):
    row = await database.fetchrow("select current_user, current_schema(), current_setting('plan_cache_mode')")
    assert tuple(row) == ("tenon_till", "till", "force_generic_plan")


async def test_each_statement_is_counted(database):
    context = Context()
    begin(context)
    await database.fetch(ACCOUNTS)
    await database.views(Account, ACCOUNTS)
    async with database.snapshot() as reader:
        await reader.fetch(ACCOUNTS)
    assert context.sql_count == 3


async def test_a_snapshot_sees_one_state_and_writes_nothing(database, admin):
    async with database.snapshot() as reader:
        before = await reader.views(Account, ACCOUNTS)
        await admin.execute("update account set balance = 0")
        assert await reader.views(Account, ACCOUNTS) == before
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await reader.fetch("update account set balance = 1")
    assert await database.fetchval("select sum(balance) from account") == 0
    assert database.connections.open == 1


async def end_sessions(admin):
    """Returns when they are gone; their clients have not heard of it yet."""
    await admin.fetch(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'tenon_till' and datname = current_database()"
    )


async def test_a_read_on_a_connection_that_was_ended_is_sent_again(database, admin):
    await database.fetch(ACCOUNTS)
    await end_sessions(admin)
    assert await database.views(Account, ACCOUNTS) == [Account("a", 100, 1), Account("b", 100, 1)]


async def test_a_write_on_a_connection_that_was_ended_is_not(database, admin, monkeypatch):
    """Nobody can know whether it took effect. The client must not know yet that the session is gone."""
    await database.fetch(ACCOUNTS)
    await end_sessions(admin)
    monkeypatch.setattr(asyncpg.Connection, "is_closed", lambda _: False)
    with pytest.raises(CommitOutcomeUnknown):
        await database.fetch("update account set balance = 7 where id = 'a'")
    monkeypatch.undo()
    assert await admin.fetchval("select balance from account where id = 'a'") == 100


async def test_an_error_of_the_statement_is_told_as_it_is(database):
    with pytest.raises(asyncpg.DivisionByZeroError):
        await database.fetch("select 1 / 0")


async def test_a_database_that_cannot_be_reached_is_unavailable():
    async def connect(role):
        raise ConnectionRefusedError

    with pytest.raises(DatabaseUnavailable):
        await Database(Connections(connect), "till").fetch("select 1")


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(admin, till_url):
    async with connected(till_url) as database:
        assert await database.fetchval("show statement_timeout") == "10s"
        assert await database.fetchval("show lock_timeout") == "3s"
        assert await database.fetchval("show idle_in_transaction_session_timeout") == "10s"


async def test_a_cancelled_read_leaves_a_usable_connection(database):
    reading = asyncio.create_task(database.fetch("select pg_sleep(30)"))
    while database.connections.open == 0:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await database.fetchval("select 1") == 1


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("select 1", True),
        ("\n    with a as (select 1) select * from a", True),
        ("values (1)", True),
        ("with a as (update account set balance = 1 returning id) select * from a", False),
        ("select id from account for update", False),
        ("insert into account (id) values ('x')", False),
        ("select nextval('s')", False),
    ],
)
def test_only_what_cannot_write_counts_as_a_read(sql, reads):
    assert only_reads(sql) is reads


async def test_a_write_that_could_not_be_sent_is_unavailable_and_not_unknown():
    async def connect(role):
        raise ConnectionRefusedError

    with pytest.raises(DatabaseUnavailable):
        await Database(Connections(connect), "till").fetch("update account set balance = 7")
