"""Loops that run as long as the process: a crash is logged, counted and followed by a restart, and a stop lets them finish."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

import structlog

from shared.domain.context import SYSTEM, Context, begin
from shared.domain.errors import DomainError, Unavailable
from shared.infra.db.connections import background
from shared.infra.db.errors import refusal

log = structlog.get_logger(__name__)

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 5.0
CALM_AFTER_S: Final = 10.0


@dataclass(slots=True)
class Loop:
    """`run(stop)` returns soon after `stop` is set, with its work in a state that another process can go on from."""

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]
    crashes: int = 0
    last_error: str = ""


class Supervisor:
    """Runs loops until it is told to stop; what has not ended `grace_s` later is cancelled."""

    def __init__(self, loops: Sequence[Loop], *, grace_s: float = 10.0) -> None:
        self.loops = tuple(loops)
        self._grace_s = grace_s

    async def run(self, stop: asyncio.Event) -> None:
        running = {asyncio.create_task(self._keep_up(loop, stop), name=loop.name) for loop in self.loops}
        try:
            await stop.wait()
            if running:
                _, late = await asyncio.wait(running, timeout=self._grace_s)
                for task in late:
                    log.warning("loop_cancelled", loop=task.get_name(), grace_s=self._grace_s)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _keep_up(self, loop: Loop, stop: asyncio.Event) -> None:
        background.set(True)
        pause = FIRST_PAUSE_S
        while not stop.is_set():
            begin(Context(principal=SYSTEM))
            started = monotonic()
            try:
                await loop.run(stop)
                if stop.is_set():
                    return
                raise RuntimeError("the loop ended by itself")
            except Exception as error:
                if reason := outage(error):
                    log.warning("loop_waits", loop=loop.name, reason=str(reason))
                    loop.last_error = str(reason)
                else:
                    log.exception("loop_crashed", loop=loop.name, crashes=loop.crashes + 1)
                    loop.last_error = repr(error)
                    loop.crashes += 1
            pause = FIRST_PAUSE_S if monotonic() - started > CALM_AFTER_S else min(2 * pause, LONGEST_PAUSE_S)
            await idle(stop, None, pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret


def outage(error: BaseException) -> DomainError | None:
    """What a loop has to wait for; None: the error is one of its own. A group is an outage when each of its errors is."""
    if isinstance(error, BaseExceptionGroup):
        found = [outage(each) for each in error.exceptions]
        return found[0] if all(found) else None
    return error if isinstance(error, Unavailable) else refusal(error)


@asynccontextmanager
async def supervised(loops: Sequence[Loop]) -> AsyncIterator[None]:
    """The loops run for the time of an `async with`, and have ended after it."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(Supervisor(loops).run(stop))
        try:
            yield
        finally:
            stop.set()


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
