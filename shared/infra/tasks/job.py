"""Running a job: its steps are transactions that hold the job's claim, so that whoever has lost it changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final

import msgspec
import structlog

from shared.domain.errors import DomainError
from shared.domain.jobs import JobCancelled, Progress
from shared.domain.operations import OperationFailure
from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.hosted import Hosted
from shared.infra.tasks.claimed import Claimed, ClaimLost
from shared.infra.tasks.claims import Outcome
from shared.infra.tasks.kind import JobKind
from shared.infra.tasks.processes import Processes
from shared.infra.tasks.running import opened
from shared.infra.tracing import traced

log = structlog.get_logger(__name__)

_HOLD: Final = "select cancelled_by is not null as cancelled from task where id = $1 and claim = $2 and state = 'claimed' for update"

# A step that commits shows that nothing is wrong so far: its tries are counted from one again.
_ADVANCE: Final = """
update task set progress = $2, claimed_until = clock_timestamp() + make_interval(secs => $3), attempts = 1, lost = 0 where id = $1
"""


class Ending(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of a job that has run: the path of what it was about, or why it was refused."""

    result: str | None = None
    failure: OperationFailure | None = None


class Run:
    """Implements shared.domain.jobs.Steps for one run of one job."""

    def __init__(
        self, kind: JobKind[Any, Any], module: Hosted, task: Claimed, transact: Transact[UnitOfWork], processes: Processes, claim_s: float
    ) -> None:
        self._kind = kind
        self._module = module
        self._task = task
        self._transact = transact
        self._processes = processes
        self._claim_s = claim_s
        self.progress: Any = kind.progress() if task.progress is None else msgspec.json.decode(task.progress, type=kind.progress)

    async def step(self, work: Callable[[Any], Awaitable[Progress]], /) -> Any:
        task = self._task

        async def fenced(uow: UnitOfWork) -> Progress:
            held = await uow.fetchrow(_HOLD, task.id, task.claim)
            if held is None:
                raise ClaimLost(task.id)
            if held["cancelled"]:
                raise JobCancelled(task.id)
            progress = await work(self._module.work(uow))
            await uow.execute(_ADVANCE, task.id, msgspec.json.encode(progress).decode(), self._claim_s)
            return progress

        ends = monotonic() + self._claim_s
        self.progress = await self._transact(fenced)
        task.renewed(ends)
        return self.progress

    async def compute(self, argument: Any, /) -> Any:
        if self._kind.compute is None:
            raise TypeError(f"{self._kind.name} declares nothing to compute")
        work = self._processes.run(self._kind.compute, argument, timeout_s=self._kind.compute_timeout.total_seconds())
        computing, cancelled = asyncio.ensure_future(work), asyncio.ensure_future(self._task.cancelled.wait())
        try:
            await asyncio.wait({computing, cancelled}, return_when=asyncio.FIRST_COMPLETED)
            if not computing.done():
                raise JobCancelled(self._task.id)
            return computing.result()
        finally:
            computing.cancel()
            cancelled.cancel()
            await asyncio.gather(computing, cancelled, return_exceptions=True)


class RunJob:
    """Implements Runner for the jobs of one kind."""

    def __init__(
        self, kind: JobKind[Any, Any], module: Hosted, transact: Transact[UnitOfWork], processes: Processes, claim_s: float
    ) -> None:
        self._kind = kind
        self._module = module
        self._transact = transact
        self._processes = processes
        self._claim_s = claim_s

    async def run(self, task: Claimed) -> Outcome | None:
        payload = opened(task, self._kind.payload)
        run = Run(self._kind, self._module, task, self._transact, self._processes, self._claim_s)
        try:
            with traced(f"run {self._kind.name}", "consumer", tenon_task_id=task.id):
                async with asyncio.timeout(self._kind.timeout.total_seconds()):
                    ending = Ending(result=await self._kind.run(payload, run))
        except JobCancelled:
            log.info("job_cancelled", module=self._module.name, task=task.id, kind=task.kind)
            return Outcome(task, "ready", counted=False)
        except DomainError as refusal:
            if refusal.retryable:
                raise
            ending = Ending(failure=OperationFailure(refusal.code, refusal.detail))
        return Outcome(task, "done", result=msgspec.json.encode(ending).decode())
