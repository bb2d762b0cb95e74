"""How a figure is taken: what many short windows cost, each beside its peer's, so that a busy machine hits both, and least the best."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import quantiles

Window = Callable[[], Awaitable[None]]
Clock = Callable[[], float]
Cost = Callable[[], Awaitable[float]]
"""Carries a window out; answers the seconds that it has cost, of CPU or of waiting."""

CPU_OF_PROCESS = 2
"""CPUCLOCK_SCHED of Linux: what clock_getcpuclockid(3) puts beside the number of a process, and Python does not have."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some windows, and the quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        if len(values) == 1:
            return cls.exactly(values[0])
        low, median, high = quantiles(values, n=4)
        return cls(median, low, high)

    @classmethod
    def exactly(cls, value: float) -> "Spread":
        return cls(value, value, value)


def clock_of(pid: int) -> Clock:
    """The CPU seconds that a process has used so far, all of its threads together."""
    return partial(time.clock_gettime, (~pid << 3) | CPU_OF_PROCESS)


def cpu(window: Window, clock: Clock = time.process_time) -> Cost:
    """In CPU seconds of this process, or of the one whose `clock` it is."""

    async def cost() -> float:
        began = clock()
        await window()
        return clock() - began

    return cost


def elapsed(window: Window) -> Cost:
    """In seconds by the clock on the wall."""
    return cpu(window, time.perf_counter)


async def share(of_peer: Cost, ours: Cost, *, rounds: int) -> Spread:
    """Of what the peer gets done at some cost, how much ours does: 1 would mean that all else is free."""
    peers, own = (undisturbed(side) for side in zip(*await pairs(of_peer, ours, rounds), strict=True))
    return Spread.of([peer / each for peer, each in zip(peers, own, strict=True)])


def undisturbed(costs: Sequence[float], part: int = 4) -> list[float]:
    """The best quarter, or other part, of many windows: what else the machine did is in the rest. It slows the larger program more,
    whose code is driven out of the processor's caches meanwhile."""
    return sorted(costs)[: max(1, len(costs) // part)]


async def pairs(of_peer: Cost, ours: Cost, rounds: int) -> list[tuple[float, float]]:
    """What both cost, taking turns; the first turn of each warms up and is forgotten."""
    await of_peer()
    await ours()
    found = []
    for number in range(rounds):
        if number % 2:
            peer, own = await of_peer(), await ours()
        else:
            own, peer = await ours(), await of_peer()
        found.append((peer, own))
    return found


async def each(works: Iterable[Callable[[], Awaitable[object]]], at_once: int) -> list[float]:
    """Do all of them, so many at a time; answers how long each took, in seconds."""
    waiting, took = iter(works), []

    async def worker() -> None:
        for work in waiting:
            began = time.perf_counter()
            await work()
            took.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return took


def percentile(values: Iterable[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]
