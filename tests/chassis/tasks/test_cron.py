"""Recurring tasks: once per tick, whatever the number of schedulers."""

import asyncio
from datetime import timedelta

from shared.infra.events.wakeup import Wakeup
from shared.infra.tasks.cron import Scheduler
from shared.infra.tasks.kind import Cron, Nothing, TaskKind
from shared.infra.tasks.worker import TaskWorker
from tests.chassis.conftest import Two
from tests.chassis.two_modules import connect, keeper
from tests.chassis.waiting import until


async def test_three_schedulers_run_a_cron_once_per_tick(two: Two):
    ran: list[str] = []

    async def run(payload: Nothing, key: str) -> None:
        ran.append(key)

    kind = TaskKind("sweep", Nothing, run)
    modules = [keeper(connect(two.url), tasks=[kind], crons=[Cron(kind, timedelta(milliseconds=200))]) for _ in range(3)]
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for module in modules:
            wakeup = Wakeup([module.database])
            group.create_task(Scheduler([module], wakeup).run(stop))
            group.create_task(TaskWorker([module], wakeup).run(stop))

        async def four_ticks() -> bool:
            return len(ran) >= 4

        await until(four_ticks)
        stop.set()
    ticks = [int(key.rpartition(":")[2]) for key in ran]
    assert len(set(ticks)) == len(ticks)
    assert await two.admin.fetchval("select count(distinct id) = count(*) from keeper.task where kind = 'sweep'")
    for module in modules:
        await module.database.connections.close()


async def test_a_tick_that_was_done_is_not_added_again_by_a_late_scheduler(two: Two):
    ran: list[str] = []

    async def run(payload: Nothing, key: str) -> None:
        ran.append(key)

    kind = TaskKind("sweep", Nothing, run)
    module = keeper(two.connections, tasks=[kind], crons=[Cron(kind, timedelta(days=10_000))])
    worker = TaskWorker([module], Wakeup([module.database]))
    for _ in range(3):
        await Scheduler([module], Wakeup([module.database])).tick()
        await worker.drain()
    assert len(ran) == 1
