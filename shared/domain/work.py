"""The unit of work as the domain sees it: one transaction, described by the ports that a module declares."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import msgspec

from shared.domain.events import Event

T = TypeVar("T")
W_co = TypeVar("W_co", covariant=True)


class Recorder(Protocol):
    """The part of a unit of work that every module's has."""

    def record(self, event: Event, *, version: int) -> None:
        """Publish `event` if and only if this transaction commits; `version` is the aggregate's after the change."""
        ...

    def enqueue(
        self, kind: str, payload: object, *, unique: str | None = None, delay_s: float = 0.0, key: str = "", priority: int = 5
    ) -> None:
        """Add a task of the registered `kind` if and only if this transaction commits.

        `unique` makes a second one with the same value, while the first is not yet ended, a no-op; tasks of one `key`
        run one after the other; `delay_s` is counted in seconds of the database's clock; of `priority`, 0 to 9, the
        greater goes first.
        """
        ...

    def begin_saga(self, name: str, state: msgspec.Struct, *, key: str) -> str:
        """Begin the registered saga `name` if and only if this transaction commits; answers its id.

        `key` is the id of what it is about. The process that began it holds its claim, and may run it at once.
        """
        ...

    def wake_saga(self, saga_id: str) -> None:
        """Let a waiting saga of this module go on, once this transaction has committed; unknown or ended ids are ignored."""
        ...


class Transact(Protocol[W_co]):
    """Run `work` in one transaction and commit it.

    It may run several times (deadlock, serialization failure, a connection lost before COMMIT), so everything it does
    goes through its argument. Raises what `work` raises, Busy when no connection is free, CommitOutcomeUnknown.
    """

    async def __call__(self, work: Callable[[W_co], Awaitable[T]], /) -> T: ...
