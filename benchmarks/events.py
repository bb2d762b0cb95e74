"""Events from the commit to their effect: how long it takes, how many go through, and how soon another process takes over."""

import asyncio
import secrets
import sys
from asyncio import create_subprocess_exec, sleep
from asyncio.subprocess import DEVNULL, PIPE
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from time import perf_counter
from typing import Any, Final

import asyncpg

from benchmarks.logs import Logs, Watch, logs, steadily, working
from benchmarks.measure import Spread, each, elapsed, percentile
from benchmarks.processes import ROOT
from benchmarks.report import Row
from benchmarks.stage import Stage
from shared.infra.events.subscription import On, Subscription, database, outbound
from shared.infra.worker import Worker
from shared.module import Module
from tests.chassis.two_modules import Seen, keeper, note

SUBSCRIPTION: Final = "keeper.things"
RATE: Final = 500
SECONDS: Final = 3
ROUNDS: Final = 4
THINGS: Final = 200
AT_ONCE: Final = 16
DRAINED: Final = 10_000
STANDING_BY_S: Final = 0.6
"""How long another process waits beside a batch before the one that is in the middle of it is killed."""

SET_BASED: Final = "the copying of an outbound subscription: a database one has a savepoint for each event"

_FILL: Final = """
insert into maker.event (event_id, type, version, key, shard, aggregate_version, payload, headers)
select 'evt_' || n, 'maker.made', 1, 'thing-' || n % $2, n % $2 % 64, 1 + n / $2,
    jsonb_build_object('thing_id', 'thing-' || n % $2, 'note', n::text), '{}'
from generate_series(0, $1 - 1) n
"""

_WRITE_AND_WAIT: Final = """
with written as (insert into maker.thing values ('of a long transaction ' || gen_random_uuid(), 1) returning 1)
select pg_advisory_xact_lock(1) from written
"""


async def rows(stage: Stage) -> list[Row]:
    usual, beside_writer, wrong = await effects(stage)
    p50, p99 = (min(percentile(delays, percent) for delays in usual) * 1000 for percent in (50, 99))
    slower = min(percentile(delays, 50) for delays in beside_writer) * 1000 / p50
    return [
        Row(f"commit to effect at {RATE} events a second: p50", Spread.exactly(p50), goal=10, unit=" ms", most=True),
        Row(f"commit to effect at {RATE} events a second: p99", Spread.exactly(p99), goal=40, unit=" ms", most=True),
        Row("p50 beside a writing transaction that stays open / p50 without it", Spread.exactly(slower), goal=1.2, most=True),
        Row("events lost, doubled or out of order in this", Spread.exactly(wrong), goal=0, most=True),
        Row("business transactions with one event each, a second", await transactions(stage), goal=1000),
        Row("drain, a savepoint for each event: events a second", await drained(stage, database), goal=4000),
        Row("drain, set-based: events a second", await drained(stage, outbound), goal=30_000, note=SET_BASED),
        Row("takeover after kill -9, with a standby", await takeovers(stage), goal=1, unit=" s", most=True),
    ]


async def effects(stage: Stage) -> tuple[list[list[float]], list[list[float]], int]:
    """The delays as they usually are, and beside a transaction that stays open, in turns; and how many events went astray."""
    number = stage.some(RATE * SECONDS, 50)
    usual, beside_writer = [], []
    async with logs(stage, SUBSCRIPTION) as kept:
        for _ in range(stage.some(ROUNDS)):
            usual.append(await delays(kept, number))
            async with writing(kept):
                beside_writer.append(await delays(kept, number))
        return usual, beside_writer, await faults(kept)


async def delays(kept: Logs, number: int) -> list[float]:
    """Seconds from commit to effect of so many events, in one process."""
    watch = Watch()
    listener = heard_by(kept, watch)
    first, *notes = [secrets.token_hex(8) for _ in range(number + 1)]
    async with working(kept.maker, listener):
        await kept.make.make("thing-0", note=first)
        await watch.until(first)
        await steadily(RATE, number, lambda at: kept.make.make(f"thing-{at % THINGS}", note=notes[at]))
        await watch.until(*notes)
    return [watch.done[note] - watch.committed[note] for note in notes]


def heard_by(kept: Logs, watch: Watch) -> Module:
    listener = keeper(kept.connections, database(SUBSCRIPTION, "maker", {"maker.made": On(Seen, watch.handle)}))
    watch.over(kept.maker, listener)
    return listener


@asynccontextmanager
async def writing(kept: Logs) -> AsyncIterator[None]:
    """A transaction that has written and does not end: it waits for a lock that we have."""
    writer = await asyncpg.connect(kept.url)
    await kept.admin.execute("select pg_advisory_lock(1)")
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.execute(_WRITE_AND_WAIT))
        try:
            yield
        finally:
            await kept.admin.execute("select pg_advisory_unlock(1)")
    await writer.close()


async def faults(kept: Logs) -> int:
    """Of each key, the versions have to come as 1, 2, 3 …"""
    heard = defaultdict(list)
    for row in await kept.admin.fetch("select key, version from keeper.heard order by seq"):
        heard[row["key"]].append(row["version"])
    made = await kept.admin.fetch("select id, version from maker.thing where id like 'thing-%'")
    return sum(heard[thing] != list(range(1, version + 1)) for thing, version in made)


async def transactions(stage: Stage) -> Spread:
    number = stage.some(500, AT_ONCE)
    async with logs(stage) as kept:

        async def window() -> None:
            await each([partial(kept.make.make, f"thing-{at}") for at in range(number)], AT_ONCE)

        cost = elapsed(window)
        await cost()
        return Spread.of([number / await cost() for _ in range(stage.some(8))])


async def drained(stage: Stage, kind: Callable[..., Subscription[Any]]) -> Spread:
    """Events a second through one subscription that found all of them waiting."""
    number = stage.some(DRAINED, THINGS)
    found = []
    for _ in range(stage.some(3)):
        async with logs(stage, SUBSCRIPTION) as kept:
            await kept.admin.execute(_FILL, number, THINGS)
            await kept.admin.execute("analyze")
            dispatcher = Worker([keeper(kept.connections, kind(SUBSCRIPTION, "maker", {"maker.made": On(Seen, note)}))]).dispatcher
            began = perf_counter()
            found.append(await dispatcher.drain() / (perf_counter() - began))
    return Spread.of(found)


async def takeovers(stage: Stage) -> Spread:
    """Seconds from the death of the process in the middle of a batch until another one has done it."""
    async with logs(stage, SUBSCRIPTION) as kept:
        return Spread.of([await takeover(kept) for _ in range(stage.some(5))])


async def takeover(kept: Logs) -> float:
    watch = Watch()
    listener = heard_by(kept, watch)
    command = (sys.executable, "-m", "tests.chassis.events.listening", kept.url)
    first = await create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    if first.stdout is None:
        raise ValueError("it tells by its standard output where it is")
    await kept.make.make("the thing", note="stop")
    await first.stdout.readline()
    async with working(listener):
        await sleep(STANDING_BY_S)
        first.kill()
        killed = perf_counter()
        await first.wait()
        await watch.until("stop")
    return watch.done["stop"] - killed
