"""How a figure is taken: the CPU of this process, in many short windows, each beside its peer's, so that a busy machine hits both."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from statistics import quantiles
from time import perf_counter, process_time

Window = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of many windows, and the quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        low, median, high = quantiles(values, n=4)
        return cls(median, low, high)


async def cpu(window: Window) -> float:
    """CPU seconds of the process during `window`."""
    began = process_time()
    await window()
    return process_time() - began


async def share(of_bare: Window, ours: Window, *, rounds: int) -> Spread:
    """Of what the bare peer gets done with some CPU, how much ours does: 1 would mean that all else is free."""
    await of_bare()
    await ours()
    found = []
    for number in range(rounds):
        if number % 2:
            bare, own = await cpu(of_bare), await cpu(ours)
        else:
            own, bare = await cpu(ours), await cpu(of_bare)
        found.append(bare / own)
    return Spread.of(found)


async def each(works: Iterable[Callable[[], Awaitable[object]]], at_once: int) -> list[float]:
    """Do all of them, so many at a time; answers how long each took, in seconds."""
    waiting, took = iter(works), []

    async def worker() -> None:
        for work in waiting:
            began = perf_counter()
            await work()
            took.append(perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return took
