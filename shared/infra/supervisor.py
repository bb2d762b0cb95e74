"""Loops that run as long as the process: a crash is logged, counted and followed by a restart, and a stop lets them finish."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import structlog

from shared.domain.context import SYSTEM, Context, begin
from shared.domain.errors import DomainError, Unavailable
from shared.infra.db.connections import background
from shared.infra.db.errors import refusal

log = structlog.get_logger(__name__)

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 5.0
CALM_AFTER_S: Final = 10.0
GRACE_S: Final = 10.0


async def nothing(within_s: float) -> None:
    """What a loop has left to finish that waits for all that it begins."""


@dataclass(slots=True)
class Loop:
    """`run(stop)` returns soon after `stop` is set, with its work in a state that another process can go on from.

    What it begins and does not wait for outlives its crashes; `finish(within_s)` ends that, and is called once, after the last
    run. `crashes` counts as long as the process lives.
    """

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]
    finish: Callable[[float], Awaitable[None]] = nothing
    crashes: int = 0
    last_error: str = ""


class Supervisor:
    """Runs loops until it is told to stop; what has not ended `grace_s` later, or when that is `cut`, is cancelled."""

    def __init__(self, loops: Sequence[Loop], *, grace_s: float = GRACE_S, cut: asyncio.Event | None = None) -> None:
        self.loops = tuple(loops)
        self._grace_s = grace_s
        self._cut = cut or asyncio.Event()
        self._ends: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        running = [asyncio.create_task(self._keep_up(loop, stop), name=loop.name) for loop in self.loops]
        all_ended: asyncio.Future[Any] = asyncio.gather(*running, return_exceptions=True)
        cutting: asyncio.Future[Any] = asyncio.create_task(self._cut.wait())
        try:
            await stop.wait()
            self._ends = monotonic() + self._grace_s
            await asyncio.wait({all_ended, cutting}, timeout=self._grace_s, return_when=asyncio.FIRST_COMPLETED)
            for task in running:
                if not task.done():
                    log.warning("loop_cancelled", loop=task.get_name(), grace_s=self._grace_s)
        finally:
            cutting.cancel()
            await ended(running, 0.0)

    async def _keep_up(self, loop: Loop, stop: asyncio.Event) -> None:
        background.set(True)
        pause = FIRST_PAUSE_S
        try:
            while not stop.is_set():
                started = monotonic()
                if await self._run(loop, stop):
                    return
                pause = FIRST_PAUSE_S if monotonic() - started > CALM_AFTER_S else min(2 * pause, LONGEST_PAUSE_S)
                await idle(stop, None, pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
        finally:
            await self._finish(loop)

    async def _run(self, loop: Loop, stop: asyncio.Event) -> bool:
        """Whether the loop ended because it was told to."""
        begin(Context(principal=SYSTEM))
        try:
            await loop.run(stop)
            if stop.is_set():
                return True
            raise RuntimeError("the loop ended by itself")
        except asyncio.CancelledError as error:
            if _cancelled():
                raise
            _crashed(loop, error)  # it waited for something that was cancelled: this task was not
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged and the loop goes on
            _crashed(loop, error)
        return False

    async def _finish(self, loop: Loop) -> None:
        left = self._grace_s if self._ends is None else max(0.0, self._ends - monotonic())
        try:
            await loop.finish(0.0 if self._cut.is_set() else left)
        except Exception as error:  # noqa: BLE001 - as above, only that this was the end of it
            _crashed(loop, error)


def _cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _crashed(loop: Loop, error: BaseException) -> None:
    if reason := outage(error):
        log.warning("loop_waits", loop=loop.name, reason=str(reason))
        loop.last_error = str(reason)
    else:
        log.error("loop_crashed", loop=loop.name, crashes=loop.crashes + 1, exc_info=error)
        loop.last_error = repr(error)
        loop.crashes += 1


def outage(error: BaseException) -> DomainError | None:
    """What a loop has to wait for; None: the error is one of its own. A group is an outage when each of its errors is."""
    if isinstance(error, BaseExceptionGroup):
        found = [outage(each) for each in error.exceptions]
        return found[0] if all(found) else None
    return error if isinstance(error, Unavailable) else refusal(error)


@asynccontextmanager
async def supervised(
    loops: Sequence[Loop], *, stop: asyncio.Event | None = None, cut: asyncio.Event | None = None, grace_s: float = GRACE_S
) -> AsyncIterator[None]:
    """The loops run for the time of an `async with`, or until `stop` is set meanwhile, and have ended after it."""
    stop = stop or asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(Supervisor(loops, grace_s=grace_s, cut=cut).run(stop))
        try:
            yield
        finally:
            stop.set()


async def ended(tasks: Iterable[asyncio.Task[Any]], within_s: float) -> list[asyncio.Task[Any]]:
    """Wait for `tasks`; those that are late, and all when this is cancelled, are cancelled and waited for. Answers the late ones."""
    waiting = list(tasks)
    late: list[asyncio.Task[Any]] = []
    try:
        if waiting:
            await asyncio.wait(waiting, timeout=within_s)
    finally:
        late += [task for task in waiting if not task.done()]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    return late


async def idle(stop: asyncio.Event, wake: asyncio.Event | None, seconds: float) -> None:
    """Until `stop` or `wake` is set, or the time is over."""
    events = (stop,) if wake is None else (stop, wake)
    if any(event.is_set() for event in events):
        return
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
