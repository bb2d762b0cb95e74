"""The store of a module in memory: what use cases are tested on where no database is needed."""

from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any, Final, Generic, TypeVar

import msgspec

from shared.domain.events import Event
from shared.domain.guard import hold, let_go
from shared.domain.jobs import Job

T = TypeVar("T")
W = TypeVar("W", bound="Unit")


class Unit:
    """The part of a unit of work that every module's has: it tells into `told`, each event with its version, and refuses the rest."""

    def __init__(self, told: list[tuple[Event, int]] | None = None) -> None:
        self.told: list[tuple[Event, int]] = [] if told is None else told

    def record(self, event: Event, *, version: int) -> None:
        self.told.append((event, version))

    def enqueue(
        self, kind: str, payload: object, *, unique: str | None = None, delay_s: float = 0.0, key: str = "", priority: int = 5
    ) -> None:
        raise AssertionError("no task is expected")

    def begin_saga(self, name: str, state: msgspec.Struct, *, key: str) -> str:
        raise AssertionError("no saga is expected")

    def wake_saga(self, saga_id: str) -> None:
        raise AssertionError("no saga is expected")

    async def begin_job(self, kind: str, payload: msgspec.Struct, *, unique: str | None = None) -> Job:
        raise AssertionError("no job is expected")


class Memory(Generic[W]):
    """Implements Transact: a refused transaction leaves nothing behind, and inside one nothing outbound may happen."""

    def __init__(self, work: W) -> None:
        self.work = work

    async def __call__(self, work: Callable[[W], Awaitable[T]], /) -> T:
        trial, held = deepcopy(self.work), hold("a transaction in memory")
        try:
            result = await work(trial)
        finally:
            let_go(held)
        self.work = trial
        return result


NO_QUERIES: Final[Any] = object()
"""For use cases that read nothing outside their transactions."""
