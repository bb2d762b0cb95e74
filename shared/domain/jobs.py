"""Jobs: long work beside requests. How it is written, step by step, and how whoever began it follows it."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol, TypeVar

import msgspec

from shared.domain.context import Principal
from shared.domain.errors import Conflict
from shared.domain.operations import OperationFailure

W_co = TypeVar("W_co", covariant=True)
S = TypeVar("S", bound="Progress")


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is: `done` of `total`, where that is known. A job's own subclass says besides where to go on."""

    done: Annotated[int, msgspec.Meta(examples=[250])] = 0
    total: Annotated[int | None, msgspec.Meta(examples=[1200])] = None
    message: Annotated[str, msgspec.Meta(examples=["250 products looked at"])] = ""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """`cancelling`: it was told to end, and will between two of its steps; what these have done stays done. `result` is the path of
    what the job was about, once it has succeeded; `failure` says why it did not."""

    id: Annotated[str, msgspec.Meta(examples=["tsk_0199f3a27c5e7d10b4c8a1f2e3d4c5b6"])]
    kind: Annotated[str, msgspec.Meta(examples=["catalog.change_prices"])]
    status: Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
    progress: Progress | None
    result: Annotated[str, msgspec.Meta(examples=["/v1/products?category=cat_0199f3a27c5e7d10b4c8a1f2e3d4c5b6"])] | None
    failure: OperationFailure | None
    created_at: datetime
    ended_at: datetime | None


class JobUnderway(Conflict):
    """Another job of this kind about the same is not ended yet; the fact `job_id` names it. Wait for it, or cancel it."""

    code = "job_underway"
    title = "Such a job is under way"


class JobEnded(Conflict):
    """The job has ended already and cannot be cancelled any more."""

    code = "job_ended"
    title = "The job has ended"


class JobCancelled(Exception):
    """Raised by a step when somebody wants the job to end; it passes through the job's code."""


class Steps(Protocol[W_co, S]):
    """What a job's code is handed: its steps are its only lasting effects, and each happens exactly once."""

    @property
    def progress(self) -> S:
        """Where the last step left it, in this run or in one before; at first as its type has it by default."""
        ...

    async def step(self, work: Callable[[W_co], Awaitable[S]], /) -> S:
        """One short transaction: what `work` does and the progress that it answers commit together, if the job is still ours.

        As with `Transact`, `work` may run several times. Raises JobCancelled; whoever has lost the job to another worker is
        stopped, and has changed nothing.
        """
        ...

    async def compute(self, argument: Any, /) -> Any:
        """The kind's `compute` of `argument`, in a process of its own; outside any step. Raises JobCancelled."""
        ...


class JobStarter(Protocol):
    """The part of a unit of work that begins jobs."""

    async def begin_job(self, kind: str, payload: msgspec.Struct, *, unique: str | None = None) -> Job:
        """Begin a job of the registered `kind` if and only if this transaction commits; it belongs to whoever the transaction runs for.

        Raises JobUnderway when one with the same `unique` value has not ended.
        """
        ...


class Jobs(Protocol):
    """Of the principal that began them, and for administrators; another's are not found."""

    async def read(self, job_id: str, reader: Principal) -> Job:
        """Raises NotFound."""
        ...

    async def cancel(self, job_id: str, by: Principal) -> Job:
        """A job that waits ends at once, one that runs between two steps. Safe to repeat; raises NotFound, JobEnded."""
        ...
