"""Processes of the application as they are started in production: how soon they serve, what they hold, how they share the load."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final

from benchmarks.collector import collecting
from benchmarks.crowd import Order
from benchmarks.http import Clients, clients
from benchmarks.measure import Spread, percentile
from benchmarks.processes import Served, tenon
from benchmarks.reads import product
from benchmarks.report import Row
from benchmarks.stage import Stage

STARTS: Final = 3
AT_ONCE: Final = 32
WINDOW: Final = 1600
ROUNDS: Final = 8
ALL_TRACED: Final = "1"


async def rows(stage: Stage) -> list[Row]:
    paths = [f"/v1/products/{await product(stage)}" for _ in range(stage.some(32))]
    started = [await start_of(stage) for _ in range(stage.some(STARTS, 0))]
    async with clients() as crowd, tenon(stage.environ, 2) as two:
        for each in two:
            await crowd.ask(order(stage, each, paths))  # connections are opened, statements prepared
        held = [each.resident_mib() for each in two]
        scaling = await shared(stage, crowd, two, paths)
    return [
        Row("start to ready", Spread.of([*started, *(each.started_s for each in two)]), goal=3, unit=" s", most=True),
        Row("memory of a process, after its first requests", Spread.of(held), goal=200, unit=" MiB", most=True, steady=True),
        Row("two processes / one, by their CPU", scaling, goal=1.8, note="as if each had a core of its own"),
        Row(f"p99 / p50 at saturation, {AT_ONCE} at once, all traced", await saturated(stage, paths), goal=6, most=True),
    ]


def order(stage: Stage, to: Served, paths: Sequence[str]) -> Order:
    return Order(to.port, list(paths), stage.some(WINDOW, AT_ONCE), AT_ONCE)


async def start_of(stage: Stage) -> float:
    async with tenon(stage.environ) as (one,):
        return one.started_s


async def shared(stage: Stage, crowd: Clients, two: Sequence[Served], paths: Sequence[str]) -> Spread:
    """What both get done in the time in which one gets done what it can, were the machine large enough: 2 would be no loss."""
    one, other = two
    async with clients() as more:
        found = []
        for _ in range(stage.some(ROUNDS)):
            alone = await cost([one], [crowd.ask(order(stage, one, paths))])
            beside = await cost(two, [crowd.ask(order(stage, one, paths)), more.ask(order(stage, other, paths))])
            found.append(2 * alone / (beside / 2))
        return Spread.of(found)


async def cost(servers: Sequence[Served], asking: Sequence[Awaitable[object]]) -> float:
    """The CPU seconds of the servers while all of it is asked at the same time."""
    began = [each.clock() for each in servers]
    await asyncio.gather(*asking)
    return sum(each.clock() - at for each, at in zip(servers, began, strict=True))


async def saturated(stage: Stage, paths: Sequence[str]) -> Spread:
    async with collecting() as collector, clients() as crowd:
        traced = {**stage.environ, "TENON_OTLP_ENDPOINT": collector, "TENON_TRACE_RATIO": ALL_TRACED}
        async with tenon(traced) as (one,):
            await crowd.ask(order(stage, one, paths))
            windows = [await crowd.ask(order(stage, one, paths)) for _ in range(stage.some(ROUNDS))]
    return Spread.of([percentile(took, 99) / percentile(took, 50) for took in windows])
