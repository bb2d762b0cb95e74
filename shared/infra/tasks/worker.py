"""Runs the tasks of the modules of this process; any number of workers share them."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Final

import asyncpg
import structlog

from shared.domain.context import SYSTEM, Context, begin, current
from shared.domain.errors import Busy, Unavailable
from shared.infra.db.errors import DEADLOCK, SERIALIZATION_FAILURE, sqlstate
from shared.infra.events.envelope import Undeliverable
from shared.infra.events.registry import Registry
from shared.infra.events.wakeup import Wakeup
from shared.infra.hosted import Hosted
from shared.infra.supervisor import Loop, Supervisor, ended, idle, outage
from shared.infra.tasks.claimed import Claimed, ClaimLost
from shared.infra.tasks.claims import CLAIM_S, Claims, Outcome
from shared.infra.tasks.processes import Processes
from shared.infra.tasks.retry import delay_after
from shared.infra.tasks.runners import Runners
from shared.infra.tasks.running import Runner
from shared.infra.telling import told

log = structlog.get_logger(__name__)

PLACES: Final = 8
PLACES_FOR_JOBS: Final = 2
POLL_S: Final = 1.0
RACES: Final = 5
GIVE_BACK_S: Final = 2.0
"""What is kept of the time for finishing; without an answer of the database, the claims run out by themselves."""

AGAIN_S: Final = 1.0


class Bench:
    """Some kinds of tasks of one module: at most `places` run at the same time. `what` names them, tasks or jobs."""

    def __init__(
        self, what: str, module: Hosted, claims: Claims, runners: Mapping[str, Runner], processes: Processes, wakeup: Wakeup, places: int
    ) -> None:
        self._what = what
        self._module = module
        self._claims = claims
        self._runners = runners
        self._processes = processes
        self._ear = wakeup.ear(module.name)
        self._places = places
        self._running: dict[asyncio.Task[None], Claimed] = {}
        self._inside: dict[str, Claimed] = {}
        self._outcomes: list[Outcome] = []
        self._storing = False

    def loops(self) -> list[Loop]:
        name = f"{self._what} of {self._module.name}"
        return [Loop(name, self.run, self.finish), Loop(f"claims of {name}", self.keep)]

    async def run(self, stop: asyncio.Event) -> None:
        """Claim and run, as long as it is not to stop."""
        while not stop.is_set():
            self._ear.clear()
            free = self._places - len(self._running)
            for task in await self._claim(free) if free else ():
                running = asyncio.create_task(self._run(task), name=f"{task.kind} {task.id}")
                self._running[running] = task
                running.add_done_callback(self._ended)
                free -= 1
            if free or len(self._running) == self._places:
                await idle(stop, self._ear, POLL_S)

    async def finish(self, within_s: float) -> None:
        """Let what runs end, with its claims renewed meanwhile, and give back what does not end in time."""
        ends = monotonic() + within_s - GIVE_BACK_S
        try:
            while self._running and (left := ends - monotonic()) > 0:
                await asyncio.wait(self._running, timeout=min(left, self._claims.claim_s / 3))
                with suppress(Unavailable):
                    await self._renew()
        finally:
            claimed = dict(self._running)
            late = await ended(claimed, 0.0)
            await self._processes.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_BACK_S):
                await self._store_all([Outcome(claimed[running], "ready", counted=False) for running in late])

    async def keep(self, stop: asyncio.Event) -> None:
        """Renew the claims of what runs, free those of vanished workers."""
        renewed = monotonic()
        while not stop.is_set():
            if monotonic() - renewed >= self._claims.claim_s / 3:
                await self._renew()
                renewed = monotonic()
            await self._tend()
            await idle(stop, None, min(POLL_S, self._claims.claim_s / 3))

    async def drain(self) -> int:
        """Until nothing is due; answers how many tasks were run."""
        total = 0
        while True:
            await self._tend()
            claimed = await self._claim(self._places)
            if not claimed:
                return total
            await asyncio.gather(*(self._run(task) for task in claimed))
            total += len(claimed)

    async def _claim(self, most: int) -> list[Claimed]:
        for _ in range(RACES):
            with suppress(asyncpg.UniqueViolationError):  # another worker was faster in a lane; it is seen to be taken now
                return await self._claims.claim(list(self._runners), most)
        return []

    async def _run(self, task: Claimed) -> None:
        if monotonic() >= task.ends:
            return  # this process was frozen, and the task is somebody else's by now
        outcome = await self._outcome(task)
        if outcome is not None:
            await self._store(outcome)
        if task.key:
            self._ear.set()  # the next of its lane

    async def _outcome(self, task: Claimed) -> Outcome | None:
        self._inside[task.id] = task
        begin(Context(principal=SYSTEM))  # until the task's own has been read
        try:
            async with task.held():
                return await self._runners[task.kind].run(task)
        except ClaimLost:
            self._log_lost(task)
            return None
        except Exception as error:  # noqa: BLE001 - it is kept with the task, and logged
            return self._failed(task, error)
        finally:
            self._inside.pop(task.id, None)

    def _failed(self, task: Claimed, error: Exception) -> Outcome:
        named: dict[str, object] = {"module": self._module.name, "task": task.id, "kind": task.kind, "key": task.key}
        named |= {"attempts": task.attempts, **current().cost()}
        if isinstance(error, Busy) or sqlstate(error) in (DEADLOCK, SERIALIZATION_FAILURE):
            log.info("task_put_back", **named, error=error)
            return Outcome(task, "ready", AGAIN_S, told(error), counted=False)
        delay = None if isinstance(error, Undeliverable) else delay_after(task.attempts)
        if delay is None:
            log.error("task_dead", **named, error=error, exc_info=error)
            return Outcome(task, "dead", error=told(error))
        log.warning("task_failed", **named, again_in_s=round(delay, 1), error=error, exc_info=error)
        return Outcome(task, "ready", delay, told(error))

    async def _store(self, outcome: Outcome) -> None:
        """Whoever comes while a statement is under way leaves its outcome to the one that sent it."""
        self._outcomes.append(outcome)
        if self._storing:
            return
        self._storing = True
        try:
            while self._outcomes:
                outcomes, self._outcomes = self._outcomes, []
                await self._store_all(outcomes)
        finally:
            self._storing = False

    async def _store_all(self, outcomes: Sequence[Outcome]) -> None:
        """As long as the claims last; after that, others run these tasks again."""
        while outcomes:
            try:
                ours = await self._claims.settle(outcomes)
            except Exception as error:
                if reason := outage(error):
                    log.warning("outcomes_wait", module=self._module.name, tasks=len(outcomes), reason=reason)
                else:
                    log.exception("outcomes_not_stored", module=self._module.name, tasks=len(outcomes))
                await asyncio.sleep(AGAIN_S)
                outcomes = [outcome for outcome in outcomes if monotonic() < outcome.task.ends]
                continue
            for outcome in outcomes:
                if outcome.task.id not in ours:
                    self._log_lost(outcome.task)
            return

    def _ended(self, running: asyncio.Task[None]) -> None:
        was_full = len(self._running) == self._places
        self._running.pop(running, None)
        with suppress(asyncio.CancelledError):
            if (error := running.exception()) is not None:
                log.error("task_run_broken", module=self._module.name, error=error, exc_info=error)
        if was_full:
            self._ear.set()

    async def _renew(self) -> None:
        if not self._inside:
            return
        for task in await self._claims.renew(list(self._inside.values())):
            if task.id in self._inside:
                self._log_lost(task)

    def _log_lost(self, task: Claimed) -> None:
        log.warning("claim_lost", module=self._module.name, task=task.id, kind=task.kind)

    async def _tend(self) -> None:
        for freed in await self._claims.reclaim():
            log.error("worker_vanished", module=self._module.name, task=freed.id, kind=freed.kind, state=freed.state)
        if await self._claims.unblock():
            self._ear.set()


class TaskWorker:
    """The tasks of `modules`, each module's on a bench of its own, and its jobs on another, with fewer places."""

    def __init__(self, modules: Sequence[Hosted], wakeup: Wakeup, *, claim_s: float = CLAIM_S) -> None:
        registry, processes = Registry(modules), Processes()
        self._benches: list[Bench] = []
        for module in modules:
            claims = Claims(module.database, claim_s=claim_s)
            runners = Runners(module, registry, claims, processes)
            self._benches.append(Bench("tasks", module, claims, runners.short, processes, wakeup, PLACES))
            if runners.jobs:
                self._benches.append(Bench("jobs", module, claims, runners.jobs, processes, wakeup, PLACES_FOR_JOBS))

    def loops(self) -> list[Loop]:
        return [loop for bench in self._benches for loop in bench.loops()]

    async def run(self, stop: asyncio.Event) -> None:
        await Supervisor(self.loops()).run(stop)

    async def drain(self) -> int:
        return sum([await bench.drain() for bench in self._benches])
