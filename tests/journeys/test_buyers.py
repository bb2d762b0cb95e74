"""More buyers than goods, at the same moment, by two doors: what is there is sold once, and nothing that is not there."""

from collections import Counter
from typing import Final

import pytest

from tests.journeys.buyers import buyers, outcome, together
from tests.journeys.facts import Level, assert_books_balance, assert_paid_once, assert_untouched, levels_of, never_oversold, orders_of
from tests.journeys.system import System

HOLDS: Final = "inventory.reservation"
SOLD: Final = (201, "")
SOLD_OUT: Final = (409, "insufficient_stock")


@pytest.mark.parametrize(("units", "customers"), [(1, 12), (5, 24)])
async def test_so_many_orders_as_units_and_a_refusal_for_everybody_else(system: System, units: int, customers: int) -> None:
    goods = await system.apis[0].shop.goods(stock=units)
    crowd = await buyers(system.apis, [[(goods, 1)]] * customers)
    async with never_oversold(system, goods.sku):
        answers = await together(system, HOLDS, [buyer.completes(system.apis[n % 2]) for n, buyer in enumerate(crowd)])
    assert Counter(map(outcome, answers)) == {SOLD: units, SOLD_OUT: customers - units}
    await system.quiet()
    assert await levels_of(system, goods.sku) == {goods.sku: Level(on_hand=units, allocated=units, reserved=0)}
    orders = await orders_of(system, crowd)
    for buyer, answer in zip(crowd, answers, strict=True):
        if outcome(answer) == SOLD:
            await assert_paid_once(system, buyer, orders[buyer.cart_id])
        else:
            await assert_untouched(system, buyer, orders[buyer.cart_id])
    await assert_books_balance(system)


async def test_crossing_baskets_neither_deadlock_nor_oversell(system: System) -> None:
    """Every two neighbours in the crowd want the same goods in opposite orders."""
    a, b, c = [await system.apis[0].shop.goods(stock=stock) for stock in (12, 15, 18)]
    ways = [[a, b], [b, a], [b, c], [c, b], [a, b, c], [c, b, a], [c, a], [a, c]]
    crowd = await buyers(system.apis, [[(goods, 1 + n % 2) for goods in ways[n % len(ways)]] for n in range(60)])
    async with never_oversold(system, a.sku, b.sku, c.sku):
        answers = await together(system, HOLDS, [buyer.completes(system.apis[n // 2 % 2]) for n, buyer in enumerate(crowd)])
    outcomes = Counter(map(outcome, answers))
    assert outcomes.keys() == {SOLD, SOLD_OUT}, outcomes
    await system.quiet()
    sold: Counter[str] = Counter()
    orders = await orders_of(system, crowd)
    for buyer, answer in zip(crowd, answers, strict=True):
        if outcome(answer) == SOLD:
            await assert_paid_once(system, buyer, orders[buyer.cart_id])
            sold.update({line["sku"]: line["quantity"] for line in answer.json()["lines"]})
        else:
            await assert_untouched(system, buyer, orders[buyer.cart_id])
    levels = await levels_of(system, a.sku, b.sku, c.sku)
    assert {sku: (level.allocated, level.reserved) for sku, level in levels.items()} == {sku: (sold[sku], 0) for sku in levels}
    assert [levels[goods.sku].on_hand for goods in (a, b, c)] == [12, 15, 18]
    assert await system.admin.fetchval("select deadlocks from pg_stat_database where datname = current_database()") == 0
    await assert_books_balance(system)
