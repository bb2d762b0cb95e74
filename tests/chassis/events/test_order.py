"""Every event reaches its subscription once, and those of one key in the order of their commits."""

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest

from shared.domain.context import Context, Principal, begin, current
from shared.domain.events import Delivery
from shared.infra.events.cursor import NoCursor
from shared.infra.events.dispatcher import Dispatcher, WrongCluster
from shared.infra.events.subscription import On, database
from shared.infra.events.wakeup import Wakeup
from shared.infra.tasks.kind import TaskKind
from tests.chassis.conftest import Two
from tests.chassis.two_modules import WRITE, Keeping, Seen, connect, keeper, note


def dispatcher(two: Two, connections=None) -> Dispatcher:
    module = keeper(connections or two.connections, database("keeper.things", "maker", {"maker.made": On(Seen, note)}))
    return Dispatcher([module], Wakeup([module.database]))


async def heard(two: Two) -> dict[str, list[int]]:
    versions = defaultdict(list)
    for row in await two.admin.fetch("select key, version from keeper.heard order by seq"):
        versions[row["key"]].append(row["version"])
    return versions


async def test_an_event_is_heard_once(two: Two):
    await two.make.make("a")
    reader = dispatcher(two)
    assert await reader.drain() == 1
    assert await reader.drain() == 0
    assert await heard(two) == {"a": [1]}


async def test_with_many_writers_and_several_dispatchers_nothing_is_lost_doubled_or_out_of_order(two: Two):
    things = [f"thing-{number}" for number in range(7)]
    draw = random.Random(7)
    done = asyncio.Event()

    async def write() -> None:
        for _ in range(25):
            chosen = draw.sample(things, draw.choice((1, 1, 1, 3)))
            await two.make.make(*chosen)

    async def read() -> None:
        connections = connect(two.url)
        reader = dispatcher(two, connections)
        while not done.is_set():
            await reader.drain()
            await asyncio.sleep(0)
        await reader.drain()
        await connections.close()

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(read()) for _ in range(3)]
        async with asyncio.TaskGroup() as writing:
            for _ in range(24):
                writing.create_task(write())
        done.set()
        await asyncio.gather(*readers)

    published = {row["id"]: row["version"] for row in await two.admin.fetch("select id, version from maker.thing")}
    assert await heard(two) == {thing: list(range(1, version + 1)) for thing, version in published.items()}


async def test_a_writer_that_stays_open_delays_nobody_and_is_not_lost(two: Two):
    reader = dispatcher(two)
    wrote, go_on = asyncio.Event(), asyncio.Event()

    async def stay_open() -> None:
        wrote.set()
        await go_on.wait()

    slow = asyncio.create_task(two.make.make("slow", during=stay_open))
    await wrote.wait()
    for _ in range(3):
        await two.make.make("quick")
        await reader.drain()
    assert await heard(two) == {"quick": [1, 2, 3]}
    go_on.set()
    await slow
    await reader.drain()
    assert await heard(two) == {"quick": [1, 2, 3], "slow": [1]}


async def test_a_transaction_that_began_before_others_and_had_its_id_early_keeps_the_order_of_commits(two: Two):
    """The trap of cursors over transaction ids: the older transaction changes the same thing after the younger one."""
    began, go_on = asyncio.Event(), asyncio.Event()

    async def older() -> None:
        async with two.connections.use("tenon_maker") as connection:
            await connection.execute("begin; insert into thing values ('early', 1)")
            began.set()
            await go_on.wait()
            version = await connection.fetchval("update thing set version = version + 1 where id = 'shared' returning version")
            await connection.execute(WRITE, "shared", version)
            await connection.execute("commit")

    task = asyncio.create_task(older())
    await began.wait()
    await two.make.make("shared")
    reader = dispatcher(two)
    go_on.set()
    await task
    await reader.drain()
    assert await heard(two) == {"shared": [1, 2]}


async def test_transactions_that_roll_back_leave_gaps_that_nobody_waits_for(two: Two):
    async def change_mind() -> None:
        raise ValueError

    async def try_and_fail() -> None:
        with suppress(ValueError):
            await two.make.make("a", "b", during=change_mind)

    reader = dispatcher(two)
    await two.make.make("a")
    await try_and_fail()
    await two.make.make("a", "b")
    await try_and_fail()
    await reader.drain()
    assert await heard(two) == {"a": [1, 2], "b": [1]}


async def test_a_window_larger_than_a_batch_is_read_to_its_end_while_more_is_written(two: Two):
    things = [f"thing-{number}" for number in range(400)]
    for _ in range(3):
        await two.make.make(*things)
    reader = dispatcher(two)
    (reading,) = reader._readings
    _, taken = await reading.look()
    assert taken.more
    assert 0 < taken.events <= 500
    assert await two.admin.fetchval("select until is not null and window_end is not null from keeper.cursor")
    await two.make.make(*things)
    await reader.drain()
    assert await heard(two) == {thing: [1, 2, 3, 4] for thing in things}
    assert await two.admin.fetchval("select until is null from keeper.cursor")


async def test_events_of_other_types_are_passed_over_and_the_floor_is_reported(two: Two):
    """The floor itself is not compared: a transaction of any other test on this server may hold it back."""
    passed = """
        select pg_snapshot_xmax(consumed) > (select max(xid) from maker.event) and pg_snapshot_xmin(consumed) =
            (select floor from maker.subscriber where consumer = 'tenon_keeper') from keeper.cursor"""
    reader = dispatcher(two)
    await reader.drain()
    assert await two.admin.fetchval("select count(*) from maker.subscriber") == 1, "reported at the first look"
    for _ in range(3):
        await two.make.make_unwanted("a")
    assert await reader.drain() == 0
    assert not await two.admin.fetchval(passed), "ten seconds have not passed"
    await two.admin.execute("update keeper.cursor set reported_at = now() - interval '11 seconds'")
    assert await reader.drain() == 0
    assert await two.admin.fetchval(passed)
    assert await heard(two) == {}


async def test_shard_groups_share_a_log_and_each_event_belongs_to_one_of_them(two: Two):
    await two.admin.execute("update keeper.cursor set shard_groups = 3")
    await two.admin.execute(
        """insert into keeper.cursor (subscription, publisher, shard_group, shard_groups, consumed)
        select subscription, publisher, number, 3, consumed from keeper.cursor, generate_series(1, 2) number"""
    )
    things = [f"thing-{number}" for number in range(60)]
    for _ in range(2):
        await two.make.make(*things)
    await asyncio.gather(dispatcher(two).drain(), dispatcher(two).drain())
    assert await heard(two) == {thing: [1, 2] for thing in things}
    assert await two.admin.fetchval("select count(*) from maker.subscriber") == 3


async def test_a_paused_subscription_hears_nothing_until_it_is_resumed(two: Two):
    await two.admin.execute("update keeper.cursor set paused_at = now(), paused_by = 'ada'")
    await two.make.make("a")
    assert await dispatcher(two).drain() == 0
    await two.admin.execute("update keeper.cursor set paused_at = null, paused_by = null")
    assert await dispatcher(two).drain() == 1


async def test_a_database_that_came_from_another_cluster_is_refused(two: Two):
    await two.admin.execute("update keeper.cluster_identity set system_identifier = 1")
    with pytest.raises(WrongCluster, match="rebase"):
        await dispatcher(two).drain()


async def test_a_subscription_without_a_cursor_is_an_error_and_not_silence(two: Two):
    await two.admin.execute("delete from keeper.cursor")
    with pytest.raises(NoCursor, match="migrate"):
        await dispatcher(two).drain()


async def test_a_handler_works_on_behalf_of_who_caused_the_event_and_what_it_publishes_says_so(two: Two):
    seen = []

    async def handle(work: Keeping, delivery: Delivery[Seen]) -> None:
        seen.append(current())
        work.enqueue("chore", delivery.data)

    async def run(seen: Seen, key: str) -> None: ...

    module = keeper(
        two.connections, database("keeper.things", "maker", {"maker.made": On(Seen, handle)}), tasks=[TaskKind("chore", Seen, run)]
    )
    causes = {}
    for thing in "ab":
        principal = Principal(kind="user", id=f"usr_{thing}")
        context = Context(traceparent=f"00-{thing * 32}-{thing * 16}-01", correlation_id=f"cor-{thing}", principal=principal)
        await asyncio.create_task(as_somebody(context, two.make.make(thing)))
        causes[thing] = await two.admin.fetchval("select event_id from maker.event where key = $1", thing)
    await Dispatcher([module], Wakeup([module.database])).drain()
    assert [(c.trace_id, c.correlation_id, c.causation_id, c.principal.scope) for c in seen] == [
        (thing * 32, f"cor-{thing}", causes[thing], f"user:usr_{thing}") for thing in "ab"
    ]
    rows = await two.admin.fetch("select headers from keeper.task order by seq")
    assert [json.loads(row["headers"])["causation"] for row in rows] == [causes[thing] for thing in "ab"]


async def as_somebody(context: Context, work: Coroutine[Any, Any, None]) -> None:
    begin(context)
    await work
