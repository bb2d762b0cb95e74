"""Completing carts over the API: what one costs."""

import json
import secrets
from dataclasses import dataclass
from itertools import islice
from typing import Final

from benchmarks.asgi import Request, send
from benchmarks.measure import Spread, Window, cpu, share, undisturbed
from benchmarks.replay import again, recorded, replaying
from benchmarks.report import Row
from benchmarks.stage import Stage
from entrypoints.http import create_app
from shared.domain.context import current
from shared.domain.ids import new_id
from tests.support.shop import Goods
from tests.support.tokens import bearer

EACH: Final = 8
"""So many carts are completed in a window."""

WINDOWS: Final = 30


async def rows(stage: Stage) -> list[Row]:
    goods = await stage.shop.goods(stock=100_000)
    spent, statements = await alone(stage, goods)
    return [
        Row("complete a one-line cart: CPU", spent, goal=6.0, unit=" ms", most=True),
        Row("complete a one-line cart: statements beside BEGIN and COMMIT", Spread.exactly(statements), goal=35, most=True, steady=True),
        Row("complete a one-line cart, whole stack / the same SQL by asyncpg", await beside_bare(stage, goods), steady=True),
    ]


async def alone(stage: Stage, goods: Goods) -> tuple[Spread, int]:
    """CPU milliseconds of the process for one, and its statements."""
    windows = stage.some(WINDOWS)
    completed = cpu(await completing(stage, goods, windows + 1))
    await completed()
    spent = [await completed() * 1000 / EACH for _ in range(windows)]
    return Spread.of(undisturbed(spent)), current().sql_count


async def beside_bare(stage: Stage, goods: Goods) -> Spread:
    """How much of what one connection for each module gets done, one statement after the other."""
    windows = stage.some(WINDOWS)
    first = await purchase(stage, goods)
    model = await recorded(stage, lambda root: send(create_app(root), first))
    others = [await purchase(stage, goods) for _ in range(EACH * (windows + 1))]
    renamed = [{first.cart_id: it.cart_id, first.key: it.key, first.customer: it.customer} for it in others]
    scripts = [again(model, names, "ord sag rsv pin att ltx evt") for names in renamed]
    async with replaying(stage, scripts, EACH) as bare:
        return await share(cpu(bare), cpu(await completing(stage, goods, windows + 1)), rounds=windows)


async def completing(stage: Stage, goods: Goods, windows: int) -> Window:
    waiting = iter([await purchase(stage, goods) for _ in range(EACH * windows)])

    async def window() -> None:
        for request in islice(waiting, EACH):
            await send(stage.app, request)

    return window


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
