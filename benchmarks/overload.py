"""Twice as many requests as the application can answer, and what becomes of those that it lets in.

In this process and by its own CPU clock, which no other program slows down: a second of it is a second of a core of its own. While
there is nothing to do it spins, so that the clock goes on.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from time import process_time
from typing import Final

import msgspec

from benchmarks.asgi import App, Refused, Request, send
from benchmarks.measure import Spread, each, percentile
from benchmarks.reads import product
from benchmarks.report import Row
from benchmarks.stage import Stage
from entrypoints.container import compose
from entrypoints.development.children import free_port
from entrypoints.http import create_app
from shared.api.admission import MOST, Admission

QUEUE_MS: Final = 5
"""The default of the setting."""

AT_ONCE: Final = 16
REQUESTS: Final = 2000
ROUNDS: Final = 5
SECONDS: Final = 3
"""In the first half of which the limit is found: what arrives in it does not count."""


@dataclass
class Arrivals:
    """How long the requests took that were answered, and how many were refused."""

    took: list[float] = field(default_factory=list)
    refused: int = 0


async def rows(stage: Stage) -> list[Row]:
    requests = [Request("GET", f"/v1/products/{await product(stage)}") for _ in range(stage.some(32))]
    root = compose(msgspec.structs.replace(stage.settings, metrics_port=free_port()))
    admission = Admission(QUEUE_MS, waiting=root.shared.connections().longest_wait, now=process_time)
    root.shared.admission.override(admission)
    app = create_app(root)
    p99s, answered, refused = [], [], []
    seconds = 0.2 if stage.quick else SECONDS
    async with app.lifespan():
        for seed in range(stage.some(ROUNDS)):
            admission.limit = MOST
            capacity = await most(app, requests, stage.some(REQUESTS, AT_ONCE))
            at_most = await arriving(app, requests, capacity, seconds, seed)
            beyond = await arriving(app, requests, 2 * capacity, seconds, seed)
            p99s.append((percentile(at_most.took, 99), percentile(beyond.took, 99)))
            answered.append(len(beyond.took) / (seconds / 2) / capacity)
            refused.append(beyond.refused / (seconds / 2) / capacity)
    slower = [twice / once for once, twice in p99s]
    return [
        Row("p99 of what is let in: at twice the capacity / at the capacity", Spread.of(slower), goal=1.5, most=True),
        Row("p99 at the capacity", Spread.of([once * 1000 for once, _ in p99s]), unit=" ms"),
        Row("p99 at twice the capacity", Spread.of([twice * 1000 for _, twice in p99s]), unit=" ms"),
        Row("at twice the capacity: answered / the capacity", Spread.of(answered), goal=0.7),
        Row("at twice the capacity: refused / the capacity", Spread.of(refused)),
    ]


async def most(app: App, requests: Sequence[Request], number: int) -> float:
    """How many a second are answered when there is always another one."""
    began = process_time()
    await each((partial(send, app, requests[index % len(requests)]) for index in range(number)), AT_ONCE)
    return number / (process_time() - began)


async def arriving(app: App, requests: Sequence[Request], per_s: float, seconds: float, seed: int) -> Arrivals:
    """Requests come when they come (Poisson), whether or not earlier ones are answered."""
    found, chance = Arrivals(), random.Random(seed)  # noqa: S311 - no secret: the same arrivals again for the same seed
    began = due = process_time()

    async def ask(request: Request, since: float) -> None:
        counts = since >= began + seconds / 2
        try:
            await send(app, request)
        except Refused:
            found.refused += counts
        else:
            if counts:
                found.took.append(process_time() - since)

    async with asyncio.TaskGroup() as group:
        while (now := process_time()) < began + seconds:
            while due <= now:
                group.create_task(ask(chance.choice(requests), due))
                due += chance.expovariate(per_s)
            await asyncio.sleep(0)
    return found
