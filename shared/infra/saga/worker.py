"""The loops that go on with sagas whose owner has let them go, or has died."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from shared.infra.events.wakeup import Wakeup
from shared.infra.hosted import Hosted
from shared.infra.saga.engine import USUAL, SagaEngine, Timing
from shared.infra.supervisor import Loop, ended, idle

log = structlog.get_logger(__name__)

AT_ONCE: Final = 8
"""Sagas of one module that one process runs at a time: a slow provider delays none of the others."""


class Recovery:
    """One module's sagas, as this process works on them."""

    def __init__(self, name: str, engine: SagaEngine, ear: asyncio.Event, poll_s: float) -> None:
        self.name = f"sagas of {name}"
        self._engine = engine
        self._ear = ear
        self._poll_s = poll_s
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._ear.clear()
            free = AT_ONCE - len(self._running)
            for claimed in await self._engine.claim(free) if free else ():
                task = asyncio.create_task(self._engine.resume(claimed, stop), name=claimed.instance.id)
                self._running.add(task)
                task.add_done_callback(self._ended)
            await idle(stop, self._ear, self._poll_s)

    async def finish(self, within_s: float) -> None:
        """They end by themselves, between two steps. Whichever is cancelled is claimed again when its claim has run out."""
        await ended(self._running, within_s)

    async def drain(self) -> int:
        """Until nothing is due; answers how often a saga was gone on with."""
        total = 0
        while count := await self._engine.recover(AT_ONCE):
            total += count
        return total

    def _ended(self, task: asyncio.Task[None]) -> None:
        """There is room again, and what was put off may be due."""
        self._running.discard(task)
        self._ear.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("saga_run_broken", saga_id=task.get_name(), error=error, exc_info=error)


class SagaWorker:
    """The sagas of `modules`; any number of processes share the work."""

    def __init__(self, modules: Sequence[Hosted], wakeup: Wakeup, timing: Timing = USUAL) -> None:
        self._recoveries = [
            Recovery(module.name, _engine(module, timing), wakeup.ear(module.name), timing.poll) for module in modules if module.sagas
        ]

    def loops(self) -> list[Loop]:
        return [Loop(recovery.name, recovery.run, recovery.finish) for recovery in self._recoveries]

    async def drain(self) -> int:
        return sum([await recovery.drain() for recovery in self._recoveries])


def _engine(module: Hosted, timing: Timing) -> SagaEngine:
    tasks = [kind.name for kind in module.tasks]
    return SagaEngine(module.database, module.work, module.sagas, events=module.publishes, tasks=tasks, timing=timing)
