"""Everybody wants the same thing: orders a second on one SKU, in process, beside the same by an ORM's unit of work."""

import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from benchmarks.drafts import drafted, place
from benchmarks.measure import Spread, each, elapsed, percentile, share
from benchmarks.peers.buyers import buyers
from benchmarks.report import Row
from benchmarks.stage import Stage
from modules.inventory.public import Line
from modules.orders.domain.completion import CompleteCart, intent_of

AT_ONCE: Final = 8
WINDOW: Final = 160
ROUNDS: Final = 8

SKU: Final = "BENCH-HOT"

Buy = Callable[[CompleteCart], Awaitable[object]]


async def rows(stage: Stage) -> list[Row]:
    await stage.shop.receive(SKU, 1_000_000)
    window, rounds = stage.some(WINDOW, AT_ONCE), stage.some(ROUNDS)
    waiting = iter([await drafted(stage, 1) for _ in range(2 * window * (rounds + 1))])
    took: list[float] = []

    async def ours(order: CompleteCart) -> None:
        await stage.root.inventory.facade().reserve(order.attempt_key, [Line(sku=SKU, quantity=1)], 3600)
        await place(stage.root, order)

    async def crowd(buy: Buy) -> list[float]:
        return await each([partial(buy, next(waiting)) for _ in range(window)], AT_ONCE)

    async def with_ours() -> None:
        took.extend(await crowd(ours))

    async with buyers(stage, AT_ONCE) as orm:

        async def with_orm() -> None:
            await crowd(lambda order: orm.buy(SKU, secrets.token_hex(12), order.order_id, intent_of(order)))

        ratio = await share(elapsed(with_orm), elapsed(with_ours), rounds=rounds)
    measured = took[window:]
    return [
        Row(f"orders on one hot SKU, {AT_ONCE} at once, in process / ORM unit of work", ratio, goal=5),
        Row("the same: p99", Spread.exactly(percentile(measured, 99) * 1000), goal=15, unit=" ms", most=True),
        Row("the same: orders a second", Spread.exactly(AT_ONCE * len(measured) / sum(measured))),
    ]
