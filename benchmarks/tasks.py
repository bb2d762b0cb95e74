"""Tasks from the commit to their start, and how many go through."""

import asyncio
from time import perf_counter
from typing import Final

import msgspec

from benchmarks.logs import Logs, logs, steadily, working
from benchmarks.measure import Spread, percentile
from benchmarks.report import Row
from benchmarks.stage import Stage
from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.tasks.kind import TaskKind
from shared.infra.worker import Worker
from shared.module import Module
from tests.chassis.two_modules import keeper

RATE: Final = 100
SECONDS: Final = 5
WAITING: Final = 3000


class Numbered(msgspec.Struct, frozen=True):
    number: int


class Doing:
    """Keeper with tasks that do nothing, and when they began to."""

    def __init__(self, kept: Logs) -> None:
        kind = TaskKind("keeper.nothing", Numbered, self._run)
        self.module: Module = keeper(kept.connections, tasks=[kind])
        self.committed: dict[int, float] = {}
        self.begun: dict[int, float] = {}
        self._kind = kind.name
        self._more = asyncio.Event()
        self._transact: Transact[UnitOfWork] = Transact(self.module.database, lambda uow: uow, tasks=[kind.name])

    async def enqueue(self, *numbers: int) -> None:
        async def work(uow: UnitOfWork) -> None:
            for number in numbers:
                uow.enqueue(self._kind, Numbered(number))

        await self._transact(work)
        self.committed |= dict.fromkeys(numbers, perf_counter())

    async def _run(self, payload: Numbered, key: str) -> None:
        self.begun[payload.number] = perf_counter()
        self._more.set()

    async def all(self) -> None:
        """Until each has begun."""
        while not self.begun.keys() >= self.committed.keys():
            self._more.clear()
            await self._more.wait()


async def rows(stage: Stage) -> list[Row]:
    delays = await picked_up(stage)
    p50, p99 = (percentile(delays, percent) * 1000 for percent in (50, 99))
    return [
        Row(f"a task's commit to its start, {RATE} a second: p50", Spread.exactly(p50), goal=20, unit=" ms", most=True),
        Row(f"a task's commit to its start, {RATE} a second: p99", Spread.exactly(p99), goal=150, unit=" ms", most=True),
        Row("tasks that do nothing, a second", await drained(stage), goal=2000),
    ]


async def picked_up(stage: Stage) -> list[float]:
    """Seconds from the answer to the one who enqueued it to the start of each task."""
    async with logs(stage) as kept:
        doing = Doing(kept)
        async with working(doing.module):
            await steadily(RATE, stage.some(RATE * SECONDS, 20), doing.enqueue)
            await doing.all()
        return [max(0.0, doing.begun[number] - committed) for number, committed in doing.committed.items()]


async def drained(stage: Stage) -> Spread:
    """Tasks a second by one worker that found all of them waiting."""
    number = stage.some(WAITING, 50)
    found = []
    async with logs(stage) as kept:
        doing = Doing(kept)
        worker = Worker([doing.module])
        for _ in range(stage.some(4)):
            await doing.enqueue(*range(number))
            began = perf_counter()
            found.append(await worker.tasks.drain() / (perf_counter() - began))
    return Spread.of(found)
