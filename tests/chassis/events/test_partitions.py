"""Partitions: attached ahead of time without stopping a writer, and removed only below every floor."""

from datetime import timedelta

import asyncpg
import pytest
from structlog.testing import capture_logs

from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.events.partitions import Partitions
from tests.chassis.conftest import Two
from tests.chassis.events.conftest import Listener
from tests.chassis.two_modules import WRITE
from tests.chassis.waiting import until

NAMES = "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'maker.event'::regclass order by 1"
PRESENT = """
select name, starts - interval '70 days' as starts, ends - interval '70 days' as ends
from maker.event_partition where now() >= starts and now() < ends
"""
AGE = """
set search_path = maker;
alter table event detach partition {name};
update {name} set created_at = created_at - interval '70 days';
alter table event attach partition {name} for values from ('{starts}') to ('{ends}');
update event_partition set starts = '{starts}', ends = '{ends}' where name = '{name}';
set search_path to default;
"""


@pytest.fixture
def two(fresh_two: Two) -> Two:
    return fresh_two


async def partitions(two: Two) -> list[str]:
    return [row["name"].removeprefix("maker.") for row in await two.admin.fetch(NAMES)]


async def make_old(two: Two) -> str:
    """Let the present week's partition be one of ten weeks ago, with its events."""
    (row,) = await two.admin.fetch(PRESENT)
    await two.admin.execute(AGE.format(**row))
    return str(row["name"])


async def test_four_weeks_are_ready_ahead_and_events_go_to_their_week(two: Two):
    ready = await partitions(two)
    assert len(ready) == 6, "this week, four more, and the one for what is left"
    for name in ready[3:5]:
        await two.admin.execute(f"drop table maker.{name}; delete from maker.event_partition where name = '{name}'")
    await Partitions([two.maker]).look()
    assert await partitions(two) == ready
    await two.make.make("a")
    week = await two.admin.fetchval("select name from maker.event_partition where now() >= starts and now() < ends")
    assert await two.admin.fetchval("select tableoid::regclass::text from maker.event") == f"maker.{week}"


async def test_a_partition_is_attached_while_a_writer_is_in_the_middle_of_its_transaction(two: Two):
    async def write(uow: UnitOfWork) -> None:
        await uow.fetch(WRITE, "a", 1)
        assert await two.admin.fetchval("select maker.event_partition_add(9)") is not None
        await uow.fetch(WRITE, "a", 2)

    await Transact(two.maker.database, lambda uow: uow)(write)
    assert await two.admin.fetchval("select count(*) from maker.event") == 2


async def test_an_old_partition_stays_until_every_subscriber_is_past_it(two: Two, listener: Listener):
    await two.make.make("a")
    keeper = Partitions([two.maker], keep=timedelta(days=35))
    old = await make_old(two)
    await keeper.look()
    assert old in await partitions(two), "no subscriber is known"
    await two.admin.execute("insert into maker.subscriber values ('tenon_other', 'other.things', 0, '3')")
    await listener.worker().drain()
    await keeper.look()
    assert old in await partitions(two), "somebody else has not read it"
    assert await two.admin.fetchval("select count(*) from maker.event") == 1
    await two.admin.execute("delete from maker.subscriber where consumer = 'tenon_other'")

    async def gone() -> bool:
        """A transaction of any other test on this server may hold the floor back for a moment."""
        await two.admin.execute("update keeper.cursor set reported_at = now() - interval '1 minute'")
        await two.make.make_unwanted("b")
        await listener.worker().drain()
        await keeper.look()
        return old not in await partitions(two)

    await until(gone)
    assert await two.admin.fetchval("select array_agg(distinct key) from maker.event") == ["b"]


async def test_a_young_partition_stays_although_everybody_has_read_it(two: Two, listener: Listener):
    await two.make.make("a")
    await listener.worker().drain()
    await two.admin.execute("update maker.subscriber set floor = '999999999'")
    await Partitions([two.maker], keep=timedelta(0)).look()
    assert await two.admin.fetchval("select count(*) from maker.event") == 1


async def test_a_drop_that_finds_the_log_busy_waits_for_a_later_look_and_the_events_are_gone_already(two: Two, listener: Listener):
    await two.make.make("a")
    await listener.worker().drain()
    old = await make_old(two)
    await two.admin.execute("update maker.subscriber set floor = '999999999'")
    keeper = Partitions([two.maker])
    writer = await asyncpg.connect(two.url)
    await writer.execute("begin; lock table only maker.event in row exclusive mode")
    await keeper.look()
    assert old in await partitions(two)
    assert await two.admin.fetchval(f"select count(*) from maker.{old}") == 0
    await writer.close()

    async def gone() -> bool:
        await keeper.look()
        return old not in await partitions(two)

    await until(gone)


async def test_an_event_that_has_no_partition_is_kept_and_alarms(two: Two, listener: Listener):
    await two.admin.execute("do $$ declare n text; begin for n in select name from maker.event_partition loop "
                            "execute 'drop table maker.' || n; end loop; end $$")  # fmt: skip
    await two.make.make("a")
    with capture_logs() as logs:
        await Partitions([two.maker]).look()
    assert {"event": "event_without_partition", "log_level": "error", "module": "maker", "rows": 1} in logs
    await listener.worker().drain()
    assert await listener.heard() == {"a": [1]}


FORBIDDEN = (
    "insert into event (id, type) overriding system value values (1, 't')",
    "insert into event (xid, type) values ('9', 't')",
    "insert into event (created_at, type) values (now(), 't')",
    "update event set key = 'other'",
    "delete from event",
    "select * from event_default",
    "truncate event_default",
    "update subscriber set floor = '1'",
    "delete from cursor",
    "insert into cursor (subscription, publisher, consumed) values ('s', 'p', '1:1:')",
)


async def test_the_runtime_role_can_neither_forge_nor_remove_what_others_rely_on(two: Two):
    for forbidden in FORBIDDEN:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await two.maker.database.fetch(forbidden)


async def test_a_consumer_speaks_for_itself_alone_and_does_nothing_else_to_the_log(two: Two):
    async with two.connections.use("tenon_keeper") as connection:
        await connection.fetch("select maker.event_ack('s', 0, '5'::xid8)")
        for forbidden in ("select maker.event_partition_drop()", "select * from maker.subscriber", "select * from maker.task"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(forbidden)
    assert await two.admin.fetchval("select consumer from maker.subscriber where subscription = 's'") == "tenon_keeper"
