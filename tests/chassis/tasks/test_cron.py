"""Recurring tasks: once per tick, whatever the number of schedulers, and none missed that the cron says must be made up for."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from shared.infra.events.wakeup import Wakeup
from shared.infra.supervisor import supervised
from shared.infra.tasks.cron import Scheduler
from shared.infra.tasks.kind import Cron, Nothing, TaskKind
from shared.infra.tasks.worker import TaskWorker
from shared.module import Module
from tests.chassis.conftest import Two
from tests.chassis.two_modules import connect, keeper
from tests.chassis.waiting import until

HOUR = timedelta(hours=1)
CLOCK = """
create table keeper.stopped (at timestamptz not null);
insert into keeper.stopped values ('2026-05-01 12:00:30+00');
create function keeper.clock_timestamp() returns timestamptz language sql stable as 'select at from keeper.stopped';
grant select on keeper.stopped to tenon_keeper;
"""
"""A clock that only the test moves, in place of the database's own: it is found first along the role's path in this database."""


async def nothing(payload: Nothing, key: str) -> None: ...


class Schedulers:
    """Three, each with connections of its own, as three processes would be; `move` lets an hour or many pass on the clock."""

    def __init__(self, two: Two, cron: Cron) -> None:
        self._two = two
        self._modules = [keeper(connect(two.url), tasks=[cron.kind], crons=[cron]) for _ in range(3)]

    def new(self) -> list[Scheduler]:
        return [Scheduler([module], Wakeup([module.database])) for module in self._modules]

    async def move(self, hours: int) -> None:
        await self._two.admin.execute(f"update keeper.stopped set at = at + interval '{hours} hours'")

    async def ticks(self) -> list[int]:
        rows = await self._two.admin.fetch("select id from keeper.task where kind = 'sweep' order by seq")
        return [int(row["id"].rpartition(":")[2]) for row in rows]

    async def close(self) -> None:
        for module in self._modules:
            await module.database.connections.close()


async def tick(schedulers: Sequence[Scheduler]) -> None:
    await asyncio.gather(*(scheduler.tick() for scheduler in schedulers))


@pytest.fixture
async def moved(fresh_two: Two) -> Two:
    await fresh_two.admin.execute(CLOCK)
    name = await fresh_two.admin.fetchval("select current_database()")
    await fresh_two.admin.execute(f'alter role tenon_keeper in database "{name}" set search_path = keeper, pg_catalog, pg_temp')
    return fresh_two


async def test_three_schedulers_with_a_clock_that_moves_add_every_tick_exactly_once(moved: Two):
    three = Schedulers(moved, Cron(TaskKind("sweep", Nothing, nothing), HOUR))
    running = three.new()
    await tick(running)
    (first,) = await three.ticks()
    for _ in range(40):
        await tick(running)
        await three.move(1)
        await tick(running)
    assert await three.ticks() == list(range(first, first + 41))
    await three.close()


@pytest.mark.parametrize(("catch_up", "made_up"), [(1, [10]), (3, [8, 9, 10]), (100, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])])
async def test_after_a_time_without_schedulers_as_many_ticks_are_made_up_for_as_the_cron_says(
    moved: Two, catch_up: int, made_up: list[int]
):
    three = Schedulers(moved, Cron(TaskKind("sweep", Nothing, nothing), HOUR, catch_up))
    await tick(three.new())
    (first,) = await three.ticks()
    await moved.admin.execute("delete from keeper.task")  # what was done is forgotten meanwhile
    await three.move(10)
    await tick(three.new())
    await tick(three.new())
    assert await three.ticks() == [first + missed for missed in made_up]
    await three.close()


async def test_who_waits_for_a_scheduler_that_is_adding_a_tick_adds_it_not_again(moved: Two):
    three = Schedulers(moved, Cron(TaskKind("sweep", Nothing, nothing), HOUR))
    late, *_ = running = three.new()
    await tick(running)
    await three.move(1)
    await moved.admin.execute("begin; update keeper.cron set tick = tick + 1 where kind = 'sweep'")  # as the first one does
    waiting = asyncio.create_task(late.tick())
    await until(lambda: moved.admin.fetchval("select count(*) > 0 from pg_locks where not granted"))
    await moved.admin.execute("commit")
    await waiting
    assert len(await three.ticks()) == 1, "the task of the second tick is the other one's to add"
    await three.close()


async def test_a_clock_that_goes_back_repeats_no_tick(moved: Two):
    three = Schedulers(moved, Cron(TaskKind("sweep", Nothing, nothing), HOUR, 100))
    await tick(three.new())
    for hours in (-5, 5, 1):
        await three.move(hours)
        await tick(three.new())
    first, second = await three.ticks()
    assert second == first + 1
    await three.close()


async def test_a_tick_that_was_done_and_forgotten_is_not_added_again(two: Two):
    ran: list[str] = []

    async def run(payload: Nothing, key: str) -> None:
        ran.append(key)

    kind = TaskKind("sweep", Nothing, run)
    module = keeper(two.connections, tasks=[kind], crons=[Cron(kind, timedelta(days=10_000))])
    worker = TaskWorker([module], Wakeup([module.database]))
    for _ in range(3):
        await Scheduler([module], Wakeup([module.database])).tick()
        await worker.drain()
        await two.admin.execute("delete from keeper.task")
    assert len(ran) == 1


async def test_schedulers_and_workers_that_run_do_every_tick_once(two: Two):
    ran: list[int] = []

    async def run(payload: Nothing, key: str) -> None:
        ran.append(int(key.rpartition(":")[2]))

    kind = TaskKind("sweep", Nothing, run)
    modules: list[Module] = [
        keeper(connect(two.url), tasks=[kind], crons=[Cron(kind, timedelta(milliseconds=200), 1000)]) for _ in range(3)
    ]
    wakeups = [Wakeup([module.database]) for module in modules]
    loops = [
        loop
        for module, wakeup in zip(modules, wakeups, strict=True)
        for loop in (*Scheduler([module], wakeup).loops(), *TaskWorker([module], wakeup).loops())
    ]

    async def four_ticks() -> bool:
        return len(ran) >= 4

    async with supervised(loops):
        await until(four_ticks)
    assert sorted(ran) == list(range(min(ran), max(ran) + 1))
    for module in modules:
        await module.database.connections.close()


PROCESS = """
import asyncio, sys
from datetime import timedelta
from shared.infra.events.wakeup import Wakeup
from shared.infra.tasks.cron import Scheduler
from shared.infra.tasks.kind import Cron, TaskKind
from tests.chassis.tasks.test_cron import nothing, Nothing
from tests.chassis.two_modules import connect, keeper

async def main():
    kind = TaskKind("sweep", Nothing, nothing)
    module = keeper(connect(sys.argv[1]), tasks=[kind], crons=[Cron(kind, timedelta(milliseconds=50), 1000)])
    scheduler = Scheduler([module], Wakeup([module.database]))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    while await module.database.fetchval("select count(*) < 30 from task where kind = 'sweep'"):
        await scheduler.tick()
    await module.database.connections.close()

asyncio.run(main())
"""


@pytest.mark.slow
async def test_three_processes_add_every_tick_exactly_once(two: Two):
    root = Path(__file__).parents[3]
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROCESS, two.url, cwd=root, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    for process in processes:
        await process.communicate(b"go\n")
    assert [process.returncode for process in processes] == [0, 0, 0]
    ticks = sorted(int(row["id"].rpartition(":")[2]) for row in await two.admin.fetch("select id from keeper.task where kind = 'sweep'"))
    assert len(ticks) >= 30
    assert ticks == list(range(ticks[0], ticks[-1] + 1))
