"""One use case is one transaction: all of it or nothing, run again when that is safe."""

import asyncio
import json
from traceback import format_exception

import asyncpg
import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, insert, select
from sqlalchemy.dialects.postgresql import JSONB

from shared.domain.context import Context, Principal, begin
from shared.domain.errors import Conflict
from shared.domain.guard import OutboundInTransaction, SecondConnection, outbound
from shared.infra.db.errors import NotCommitted, constraint
from shared.infra.db.unit_of_work import Unregistered
from shared.infra.events.log import shard_of
from tests.chassis.db.till import ERRAND, TASK, Account, Errand, Moved, Undeclared, move, transact_of

ACCOUNTS = Table(
    "account",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("balance", BigInteger),
    Column("labels", JSONB),
    Column("version", BigInteger),
)


async def test_what_work_did_and_recorded_is_committed_together(transact, admin):
    async def work(unit):
        unit.enqueue(TASK, Errand("a"), unique="a", key="a")
        saga_id = unit.begin_saga(ERRAND.name, Errand("a"), key="a")
        return saga_id, await move(unit, "a", 5)

    saga_id, account = await transact(work)

    assert account == Account("a", 105, 2)
    assert await admin.fetchval("select balance from account where id = 'a'") == 105
    assert await admin.fetchval("select key from saga where id = $1", saga_id) == "a"
    assert await admin.fetchval("select kind from task where unique_key = 'a'") == TASK
    assert await admin.fetchval("select count(*) from event") == 1


async def test_an_event_carries_its_key_its_shard_and_the_context_that_caused_it(transact, admin):
    begin(Context("t", "00-t-s-01", "corr", "cause", Principal(kind="user", id="usr_1")))

    await transact(lambda unit: move(unit, "a", 5))

    row = await admin.fetchrow("select * from event")
    assert (row["type"], row["version"], row["key"], row["shard"], row["aggregate_version"]) == ("till.moved", 1, "a", shard_of("a"), 2)
    assert row["event_id"].startswith("evt_")
    assert json.loads(row["payload"]) == {"account_id": "a", "amount": 5}
    assert json.loads(row["headers"]) == {"traceparent": "00-t-s-01", "correlation": "corr", "causation": "cause", "actor": "user:usr_1"}


async def test_what_work_raises_undoes_all_of_it(transact, admin):
    async def work(unit):
        await move(unit, "a", 5)
        raise Conflict("no")

    with pytest.raises(Conflict):
        await transact(work)

    assert await admin.fetchval("select balance from account where id = 'a'") == 100
    assert await admin.fetchval("select count(*) from event") == 0


async def test_a_refusal_rolls_back_and_keeps_the_connection(database, transact):
    """A new session costs the server far more than a ROLLBACK."""

    async def work(unit):
        await move(unit, "a", 5)
        raise Conflict("no")

    for _ in range(3):
        with pytest.raises(Conflict):
            await transact(work)

    assert database.connections.opened == 1


async def test_an_error_that_work_swallowed_does_not_count_as_success(transact, admin):
    async def work(unit):
        await move(unit, "a", 5)
        with pytest.raises(asyncpg.PostgresError):
            await unit.fetch("select 1 / 0")
        unit.recorded.events.clear()

    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await transact(work)

    assert await admin.fetchval("select balance from account where id = 'a'") == 100


async def test_a_commit_that_the_server_answers_with_rollback_is_an_error(database, transact, monkeypatch):
    async def assigned(unit):
        unit.xid = "0"

    monkeypatch.setattr("shared.infra.db.unit_of_work.UnitOfWork.flush", assigned)

    async def work(unit):
        with pytest.raises(asyncpg.PostgresError):
            await unit.fetch("select 1 / 0")

    with pytest.raises(NotCommitted):
        await transact(work)


@pytest.mark.parametrize(
    "record",
    [
        lambda unit: unit.record(Undeclared("a", 1), version=1),
        lambda unit: unit.enqueue("till.unknown", Errand("a")),
        lambda unit: unit.begin_saga("till.unknown", Errand("a"), key="a"),
    ],
    ids=["event", "task", "saga"],
)
async def test_what_the_module_does_not_declare_is_refused_and_nothing_is_committed(transact, admin, record):
    async def work(unit):
        await move(unit, "a", 5)
        record(unit)

    with pytest.raises(Unregistered):
        await transact(work)

    assert await admin.fetchval("select balance from account where id = 'a'") == 100


async def test_a_task_whose_unique_value_is_waiting_already_is_not_added_again(transact, admin):
    async def work(unit):
        unit.enqueue(TASK, Errand("a"), unique="a")

    await transact(work)
    await transact(work)

    assert await admin.fetchval("select count(*) from task") == 1


async def test_a_violated_constraint_is_known_by_its_name(transact):
    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await transact(lambda unit: move(unit, "a", -101))

    assert constraint(caught.value) == "account_not_overdrawn"


@pytest.mark.parametrize("way", ["fetch", "fetchrow", "execute", "a session"])
async def test_an_error_quotes_no_values_for_it_will_be_logged(transact, way):
    private = "ada@example.org"

    async def work(unit):
        if way == "a session":
            await (await unit.session()).execute(insert(ACCOUNTS).values(id=private, balance=-1, labels={}, version=1))
        else:
            await getattr(unit, way)("insert into account (id, balance) values ($1, -1)", private)

    with pytest.raises(Exception, match="account_not_overdrawn") as caught:
        await transact(work)

    assert constraint(caught.value) == "account_not_overdrawn"
    assert private not in "".join(format_exception(caught.value))


async def test_two_that_lock_the_same_rows_crosswise_both_succeed(transact, admin):
    """The first attempts deadlock for certain: neither asks for its second row before both have their first."""
    first_rows = asyncio.Barrier(2)
    attempts = 0

    def crossing(first, second):
        async def work(unit):
            nonlocal attempts
            attempts += 1
            await move(unit, first, 1)
            if attempts <= 2:
                await first_rows.wait()
            await move(unit, second, 1)

        return work

    await asyncio.gather(transact(crossing("a", "b")), transact(crossing("b", "a")))

    assert attempts == 3
    assert await admin.fetch("select balance from account order by id") == [(102,), (102,)]
    assert await admin.fetchval("select count(*) from event") == 4


async def test_a_serialization_failure_runs_the_whole_use_case_again(transact, admin):
    both_have_read = asyncio.Barrier(2)
    attempts = 0

    async def work(unit):
        nonlocal attempts
        attempts += 1
        await unit.execute("set transaction isolation level repeatable read")
        balance = await unit.fetchval("select balance from account where id = 'a'")
        if attempts <= 2:
            await both_have_read.wait()
        await unit.execute("update account set balance = $1 where id = 'a'", balance + 1)

    await asyncio.gather(transact(work), transact(work))

    assert attempts == 3
    assert await admin.fetchval("select balance from account where id = 'a'") == 102


async def test_a_plan_that_a_migration_made_stale_is_cured_by_running_again(transact, admin):
    read = "select * from account where id = 'a'"
    await transact(lambda unit: unit.fetch(read))
    await admin.execute("alter table account add column colour text")
    try:
        assert (await transact(lambda unit: unit.fetch(read)))[0]["colour"] is None
    finally:
        await admin.execute("alter table account drop column colour")


async def test_a_session_ended_in_the_middle_is_replaced_and_the_work_done_once(transact, admin):
    attempts = 0

    async def work(unit):
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await admin.fetchval("select pg_terminate_backend($1, 5000)", await unit.fetchval("select pg_backend_pid()"))
        return await move(unit, "a", 5)

    assert (await transact(work)).balance == 105
    assert attempts == 2


async def test_a_savepoint_undoes_what_happened_and_was_recorded_inside(transact, admin):
    async def work(unit):
        await move(unit, "a", 1)
        for amount in (-1000, 3):
            try:
                async with unit.savepoint():
                    unit.enqueue(TASK, Errand(str(amount)))
                    await move(unit, "b", 2)
                    async with unit.savepoint():
                        await move(unit, "b", amount)
            except asyncpg.CheckViolationError:
                continue

    await transact(work)

    assert await admin.fetch("select balance from account order by id") == [(101,), (105,)]
    assert [json.loads(row["payload"])["amount"] for row in await admin.fetch("select payload from event order by id")] == [1, 2, 3]
    assert await admin.fetchval("select count(*) from task") == 1


async def test_asking_for_a_second_connection_raises_at_once(database, transact):
    async def work(unit):
        await database.fetch("select 1")

    with pytest.raises(SecondConnection):
        await transact(work)


async def test_a_transaction_inside_a_transaction_raises_at_once(transact):
    async def work(unit):
        await transact(work)

    with pytest.raises(SecondConnection):
        await transact(work)


async def test_a_task_started_inside_a_transaction_may_not_take_a_connection_but_may_after_it(database, transact):
    ended = asyncio.Event()

    async def later():
        with pytest.raises(SecondConnection):
            await database.fetch("select 1")
        await ended.wait()
        return await database.fetchval("select 1")

    async def work(unit):
        task = asyncio.ensure_future(later())
        await asyncio.sleep(0)
        return task

    task = await transact(work)
    ended.set()
    assert await task == 1


async def test_an_outbound_call_inside_a_transaction_raises(transact):
    async def work(unit):
        outbound("a payment provider")

    with pytest.raises(OutboundInTransaction):
        await transact(work)
    outbound("a payment provider")


async def test_sqlalchemy_works_in_the_same_transaction(transact, admin):
    async def work(unit):
        session = await unit.session()
        await session.execute(insert(ACCOUNTS).values(id="c", balance=1, labels={"de": ["ä:1%"]}, version=1))
        await move(unit, "c", 5)
        return (await session.execute(select(ACCOUNTS.c.balance, ACCOUNTS.c.labels).where(ACCOUNTS.c.id == "c"))).one()

    assert tuple(await transact(work)) == (6, {"de": ["ä:1%"]})
    assert json.loads(await admin.fetchval("select labels from account where id = 'c'")) == {"de": ["ä:1%"]}


async def test_sqlalchemy_is_undone_with_the_rest(transact, admin):
    async def work(unit):
        session = await unit.session()
        await session.execute(insert(ACCOUNTS).values(id="c", balance=1, labels={}, version=1))
        raise Conflict("no")

    with pytest.raises(Conflict):
        await transact(work)

    assert await admin.fetchval("select count(*) from account") == 2


async def test_statements_are_counted_begin_and_commit_are_not(transact):
    context = Context()
    begin(context)

    async def work(unit):
        await unit.fetch("select 1")
        session = await unit.session()
        await session.execute(select(ACCOUNTS.c.id))
        await move(unit, "a", 5)

    await transact(work)
    context.sql_count = 0
    await transact(work)

    assert context.sql_count == 4
    assert context.sql_seconds > 0


async def test_who_listens_for_commits_hears_what_was_recorded_and_cannot_break_it(database, transact, admin):
    heard = []

    def broken(recorded):
        raise ValueError("a listener's own fault")

    database.on_commit(broken)
    database.on_commit(lambda recorded: heard.append([new.event for new in recorded.events]))

    await transact(lambda unit: move(unit, "a", 5))

    assert heard == [[Moved("a", 5)]]
    assert await admin.fetchval("select balance from account where id = 'a'") == 105


async def test_the_ids_of_one_accounts_events_are_in_the_order_of_its_commits(database, admin):
    transact = transact_of(database)

    await asyncio.gather(*(transact(lambda unit: move(unit, "a", 1)) for _ in range(60)))

    versions = [row[0] for row in await admin.fetch("select aggregate_version from event order by id")]
    assert versions == list(range(2, 62))


async def test_a_connection_goes_back_as_it_came(database, transact, admin):
    """No reset query is sent, so nothing that sticks to a session may happen on a shared connection."""
    state = "select array_agg(name || '=' || setting order by name) from pg_settings where source = 'session'"
    before = await database.fetchval(state)

    await transact(lambda unit: move(unit, "a", 5))
    await transact(lambda unit: unit.session())
    async with database.snapshot() as reader:
        await reader.fetch("select 1")

    assert database.connections.open == 1
    assert await database.fetchval(state) == before
    assert await database.fetchval("select count(*) from pg_listening_channels()") == 0
    assert await database.fetchval("select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'") == 0
    queries = "select query from pg_stat_activity where usename = 'tenon_till' and datname = current_database()"
    assert not [row for row in await admin.fetch(queries) if "RESET" in row[0] or "UNLISTEN" in row[0] or "DISCARD" in row[0]]
