"""Reserving stock and placing an order in process, beside pgbench with the same SQL: transactions a second of both."""

import random
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Final

from benchmarks.drafts import drafted, place
from benchmarks.measure import Spread, each, elapsed, share
from benchmarks.peers import pgbench
from benchmarks.peers.pgbench import APART, Names
from benchmarks.replay import made, numbers, recorded
from benchmarks.report import Row
from benchmarks.stage import Stage
from entrypoints.container import Root
from modules.inventory.public import Line

LINES: Final = 3
BASKETS: Final = 16
AT_ONCE: Final = 4
TURNS: Final = 120
"""So many transactions each of those at once carries out in a window."""

ROUNDS: Final = 8
OF_WINDOW: Final = 1000
"""Transactions are numbered from a multiple of it in each window."""

Transaction = Callable[[], Awaitable[object]]


async def rows(stage: Stage) -> list[Row]:
    return [
        Row(f"reserve {LINES} lines, in process / the same SQL by pgbench", await reserving(stage), goal=0.40),
        Row("place an order, in process / the same SQL by pgbench", await placing(stage), goal=0.40),
    ]


async def reserving(stage: Stage) -> Spread:
    """Of one of some baskets, by chance."""
    for sku in (sku for number in range(BASKETS) for sku in basket(number)):
        await stage.shop.receive(sku, 100_000)

    async def reserve(root: Root, number: int, key: str) -> None:
        await root.inventory.facade().reserve(key, [Line(sku=sku, quantity=1) for sku in basket(number)], 3600)

    model = await recorded(stage, lambda root: reserve(root, 0, "the key"))
    names = Names({"the key": "", **made(model, "rsv evt")}, {sku: sku[:-1] for sku in basket(0)}, BASKETS)

    def one() -> Awaitable[object]:
        return reserve(stage.root, random.randrange(BASKETS), secrets.token_hex(12))  # noqa: S311 - pgbench draws as it likes, too

    return await beside(stage, "tenon_inventory", await pgbench.script(stage, model, names), one)


def basket(number: int) -> list[str]:
    return [f"BENCH-{line}-{number}" for line in range(LINES)]


async def placing(stage: Stage) -> Spread:
    first = await drafted(stage, LINES)
    model = await recorded(stage, lambda root: place(root, first))
    names = Names({first.order_id: "ord_", first.cart_id: "crt_", **numbers(model), **made(model, "evt")})
    rounds, turns = stage.some(ROUNDS) + 1, stage.some(TURNS)

    async def prepare(number: int) -> None:
        named = names.of(number)
        await drafted(stage, LINES, named[first.cart_id], named[first.order_id])

    theirs = [at * OF_WINDOW + who * APART + turn + 1 for at in range(rounds) for who in range(AT_ONCE) for turn in range(turns)]
    await each((partial(prepare, number) for number in theirs), AT_ONCE)
    waiting = iter([await drafted(stage, LINES) for _ in theirs])
    return await beside(stage, "tenon_orders", await pgbench.script(stage, model, names), lambda: place(stage.root, next(waiting)))


async def beside(stage: Stage, role: str, script: str, one: Transaction) -> Spread:
    """Of pgbench's throughput, the share of ours; `one` begins a transaction of ours."""
    turns, firsts = stage.some(TURNS), count(0, OF_WINDOW)

    async def theirs() -> float:
        return await pgbench.run(stage, role, script, clients=AT_ONCE, transactions=turns, first=next(firsts))

    async def ours() -> None:
        await each([one] * (AT_ONCE * turns), AT_ONCE)

    return await share(theirs, elapsed(ours), rounds=stage.some(ROUNDS))
