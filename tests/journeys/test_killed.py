"""Processes are killed with -9 in the middle of their work: others go on, the customers ask again, and everything happened once.

A lock on a table makes sure that it is the middle: everybody who comes to write there waits, and is killed while waiting.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Final

import httpx
import pytest

from tests.chassis.waiting import until
from tests.journeys.buyers import Buyer, at_once, buyers, outcome
from tests.journeys.facts import Level, assert_books_balance, assert_paid_once, assert_untouched, levels_of, orders_of
from tests.journeys.system import System
from tests.support.shop import Goods

DOOMED, OTHERS = 10, 4
SOLD: Final = (201, "")
SOLD_OUT: Final = (409, "insufficient_stock")

HELD: Final = "inventory.reservation"
BEGUN: Final = "payments.authorization_key"
BOOKED: Final = "payments.ledger_transaction"
PLACED: Final = "orders.event"
MAILED: Final = "notifications.notification"
TOLD: Final = "notifications.event"
"""In the order in which a purchase writes to them. The provider is called before it is booked, the mail is sent before that is told."""


async def answer_or_nothing(asking: Awaitable[httpx.Response]) -> httpx.Response | None:
    """None where the connection broke."""
    try:
        return await asking
    except httpx.TransportError:
        return None


async def crowd_of(system: System, size: int, stock: int) -> tuple[Goods, list[Buyer], list[str]]:
    """So many carts with one piece each, and the key that each buyer will use."""
    goods = await system.apis[0].shop.goods(stock)
    crowd = await buyers(system.apis, [[(goods, 1)]] * size)
    return goods, crowd, [secrets.token_hex(8) for _ in crowd]


async def ask_again(system: System, crowd: Sequence[Buyer], keys: Sequence[str]) -> list[httpx.Response]:
    """By the doors that are left, until there is an answer."""
    return await at_once(buyer.insists(system.apis[n % 2], key=key) for n, (buyer, key) in enumerate(zip(crowd, keys, strict=True)))


async def assert_all_paid_once(system: System, goods: Goods, crowd: Sequence[Buyer]) -> None:
    await system.quiet()
    orders = await orders_of(system, crowd)
    for buyer in crowd:
        await assert_paid_once(system, buyer, orders[buyer.cart_id])
    assert await levels_of(system, goods.sku) == {goods.sku: Level(len(crowd), len(crowd), 0)}
    await assert_books_balance(system)


@pytest.mark.parametrize("table", [HELD, BEGUN, BOOKED, PLACED])
async def test_an_api_process_dies_with_completions_in_flight(system: System, table: str) -> None:
    goods, crowd, keys = await crowd_of(system, DOOMED + OTHERS, stock=DOOMED + OTHERS)
    door = await system.ready(system.start_api())
    doors = [door] * DOOMED + system.apis[:2] * (OTHERS // 2)
    async with system.locked(table):
        asked = [buyer.completes(api, key=key) for buyer, api, key in zip(crowd, doors, keys, strict=True)]
        answering = asyncio.gather(*map(answer_or_nothing, asked))
        await system.stuck(least=DOOMED)
        await system.kill(door)
    answers = await answering
    assert None not in answers[DOOMED:]
    assert answers.count(None) >= DOOMED - OTHERS
    await system.time_passes()
    again = await ask_again(system, crowd, keys)
    assert {outcome(answer) for answer in again} == {SOLD}
    await assert_all_paid_once(system, goods, crowd)


async def test_an_api_process_dies_when_the_first_orders_are_placed_and_not_everybody_can_have_one(system: System) -> None:
    goods, crowd, keys = await crowd_of(system, 12, stock=8)
    door = await system.ready(system.start_api())
    answering = asyncio.gather(*(answer_or_nothing(buyer.completes(door, key=key)) for buyer, key in zip(crowd, keys, strict=True)))
    placed = "select count(*) >= 3 from orders.customer_order where cart_id = any($1) and status = 'placed'"
    await until(lambda: system.admin.fetchval(placed, [buyer.cart_id for buyer in crowd]))
    await system.kill(door)
    await answering
    await system.time_passes()
    again = await ask_again(system, crowd, keys)
    assert Counter(map(outcome, again)) == {SOLD: 8, SOLD_OUT: 4}
    await system.quiet()
    orders = await orders_of(system, crowd)
    for buyer, answer in zip(crowd, again, strict=True):
        check = assert_paid_once if outcome(answer) == SOLD else assert_untouched
        await check(system, buyer, orders[buyer.cart_id])
    assert await levels_of(system, goods.sku) == {goods.sku: Level(8, 8, 0)}
    await assert_books_balance(system)


async def test_an_api_process_that_is_asked_to_end_answers_everybody_first(system: System) -> None:
    goods, crowd, keys = await crowd_of(system, DOOMED, stock=DOOMED)
    door = await system.ready(system.start_api())
    async with system.locked(BOOKED):
        answering = asyncio.gather(*(buyer.completes(door, key=key) for buyer, key in zip(crowd, keys, strict=True)))
        await system.stuck(least=DOOMED)
        ending = asyncio.create_task(system.end(door))
    assert {outcome(answer) for answer in await answering} == {SOLD}
    await ending
    await assert_all_paid_once(system, goods, crowd)


@pytest.mark.parametrize("table", [MAILED, TOLD])
async def test_the_workers_die_while_they_send_mails(system: System, table: str) -> None:
    goods, crowd, keys = await crowd_of(system, 8, stock=8)
    async with system.locked(table):
        bought = await ask_again(system, crowd, keys)
        assert {outcome(answer) for answer in bought} == {SOLD}
        await system.stuck(least=4)
        await system.kill(*system.workers)
    system.start_workers()
    await system.time_passes()
    await assert_all_paid_once(system, goods, crowd)


async def test_the_workers_die_with_the_provider_s_webhooks_in_their_hands(system: System) -> None:
    goods, crowd, keys = await crowd_of(system, 8, stock=8)
    asked = [buyer.completes(system.apis[n % 2], "pm_card_3ds", key) for n, (buyer, key) in enumerate(zip(crowd, keys, strict=True))]
    questions = [answer.json()["action_url"].removeprefix("http://test") for answer in await at_once(asked)]
    async with system.locked(BOOKED):
        await at_once(system.apis[0].client.post(question, json={"approve": True}) for question in questions)
        await system.stuck(least=4)
        await system.kill(*system.workers)
    system.start_workers()
    await system.time_passes()
    again = await at_once(buyer.insists(system.apis[0], "pm_card_3ds", key) for buyer, key in zip(crowd, keys, strict=True))
    assert {outcome(answer) for answer in again} == {SOLD}
    await assert_all_paid_once(system, goods, crowd)


async def test_the_workers_that_take_over_from_a_dead_process_die_too(system: System) -> None:
    goods, crowd, keys = await crowd_of(system, 6, stock=6)
    door = await system.ready(system.start_api())
    async with system.locked(BOOKED):
        answering = asyncio.gather(*(answer_or_nothing(buyer.completes(door, key=key)) for buyer, key in zip(crowd, keys, strict=True)))
        stuck = await system.stuck(least=6)
        await system.kill(door)
        assert await answering == [None] * 6
        await system.time_passes()
        await system.stuck(least=4, besides=stuck)
        await system.kill(*system.workers)
    system.start_workers()
    await system.time_passes()
    again = await ask_again(system, crowd, keys)
    assert {outcome(answer) for answer in again} == {SOLD}
    await assert_all_paid_once(system, goods, crowd)
