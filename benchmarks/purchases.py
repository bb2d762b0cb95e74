"""Completing carts over the API: what one costs, and how many go through when all want the same thing."""

import json
import secrets
from dataclasses import dataclass
from functools import partial
from statistics import quantiles
from time import perf_counter

from benchmarks.asgi import Request, send
from benchmarks.measure import Spread, cpu, each
from benchmarks.report import Row
from benchmarks.stage import Stage
from shared.domain.context import current
from shared.domain.ids import new_id
from tests.support.shop import Goods
from tests.support.tokens import bearer

ALONE = 120
WINDOW = 4
CROWD = 240
AT_ONCE = 16


async def rows(stage: Stage) -> list[Row]:
    hot, cold = [await stage.shop.goods(stock=10_000)], [await stage.shop.goods(stock=10_000) for _ in range(AT_ONCE)]
    spent, statements = await alone(stage, hot[0])
    hot_rate, hot_p99 = await crowd(stage, hot)
    cold_rate, _ = await crowd(stage, cold)
    return [
        Row("complete a one-line cart: CPU", spent, goal=6.0, unit=" ms", most=True),
        Row("complete a one-line cart: statements beside BEGIN and COMMIT", exactly(statements), goal=35, most=True),
        Row(f"one hot SKU, {AT_ONCE} at once / {AT_ONCE} SKUs", exactly(hot_rate / cold_rate)),
        Row(f"one hot SKU, {AT_ONCE} at once: orders a second", exactly(hot_rate)),
        Row(f"one hot SKU, {AT_ONCE} at once: p99", exactly(hot_p99 * 1000), unit=" ms"),
    ]


def exactly(value: float) -> Spread:
    return Spread(value, value, value)


async def alone(stage: Stage, goods: Goods) -> tuple[Spread, int]:
    """CPU milliseconds of the process for one, and its statements."""
    purchases = iter([await purchase(stage, goods) for _ in range(ALONE + WINDOW)])

    async def window() -> None:
        for _ in range(WINDOW):
            await send(stage.app, next(purchases))

    await window()
    spent = [await cpu(window) * 1000 / WINDOW for _ in range(ALONE // WINDOW)]
    return Spread.of(spent), current().sql_count


async def crowd(stage: Stage, goods: list[Goods]) -> tuple[float, float]:
    """Orders a second, and the p99 of their seconds."""
    purchases = [await purchase(stage, goods[number % len(goods)]) for number in range(CROWD)]
    began = perf_counter()
    took = await each((partial(send, stage.app, request) for request in purchases), AT_ONCE)
    return CROWD / (perf_counter() - began), quantiles(took, n=100)[98]


@dataclass(frozen=True, slots=True)
class Purchase(Request):
    """The request that completes a cart."""

    cart_id: str = ""
    customer: str = ""
    key: str = ""


async def purchase(stage: Stage, goods: Goods) -> Purchase:
    customer, key = new_id("usr"), secrets.token_hex(8)
    who = bearer(stage.root, user_id=customer)
    cart = await stage.shop.cart(who, (goods, 1))
    body = json.dumps({"expected_total": cart["total"], "payment_method": "pm_card_ok"}).encode()
    headers = {**who, "Idempotency-Key": key}
    return Purchase("POST", f"/v1/carts/{cart['id']}/complete", b"", headers, body, cart["id"], customer, key)
