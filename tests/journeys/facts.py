"""What the tables of all modules say, behind the application's back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from typing import Final

import asyncpg

from tests.journeys.buyers import Buyer
from tests.journeys.system import System

ORDERS = """
    select o.cart_id, o.id, o.status, o.payment_status,
           array(select e.kind from orders.order_entry e where e.order_id = o.id order by e.id),
           array(select e.type from orders.event e where e.key = o.id order by e.id),
           array(select l.operation || ' ' || l.news from payments.test_provider_ledger l join payments.attempt a on a.id = l.key
                 join payments.payment_intent i on i.id = a.intent_id where i.reference = o.id order by l.created_at, l.key),
           array(select t.kind from payments.ledger_transaction t join payments.attempt a on a.id = t.source_id
                 join payments.payment_intent i on i.id = a.intent_id where i.reference = o.id order by t.created_at, t.id),
           array(select r.state from inventory.reservation r where starts_with(r.key, o.id) order by r.id),
           array(select n.template || ' ' || n.status from notifications.notification n where n.about = o.id order by n.id)
    from orders.customer_order o where o.cart_id = any($1)
"""
LEVELS = "select sku, on_hand, allocated, reserved from inventory.stock_level where sku = any($1)"


@dataclass(frozen=True)
class Traces:
    """All that an order, or the draft of one, has left behind in all modules, each list in the order in which it happened."""

    status: str
    payment: str
    timeline: list[str]
    events: list[str]
    provider: list[str]
    booked: list[str]
    stock: list[str]
    told: list[str]


@dataclass(frozen=True)
class OrderFacts:
    id: str
    traces: Traces


@dataclass(frozen=True)
class Level:
    on_hand: int
    allocated: int
    reserved: int


PAID: Final = Traces(
    status="placed",
    payment="paid",
    timeline=["completion_started", "placed", "captured"],
    events=["orders.order_placed", "orders.order_paid"],
    provider=["authorize succeeded", "capture succeeded"],
    booked=["authorized", "captured"],
    stock=["committed"],
    told=["order_confirmed sent"],
)
"""A purchase: everything once."""


async def orders_of(system: System, buyers: Sequence[Buyer]) -> dict[str, OrderFacts]:
    """By the id of their cart; no cart has two, as a constraint says."""
    rows = await system.admin.fetch(ORDERS, [buyer.cart_id for buyer in buyers])
    return {cart_id: OrderFacts(order_id, Traces(*traces)) for cart_id, order_id, *traces in rows}


async def levels_of(system: System, *skus: str) -> dict[str, Level]:
    return {sku: Level(*counts) for sku, *counts in await system.admin.fetch(LEVELS, list(skus))}


def mails(system: System) -> Counter[str]:
    """How many mails went to each address."""
    return Counter(message_from_bytes(file.read_bytes(), policy=policy.default)["to"] for file in system.outbox.glob("*.eml"))


async def assert_paid_once(system: System, buyer: Buyer, order: OrderFacts) -> None:
    assert order.traces == PAID
    assert mails(system)[buyer.email] == 1


async def assert_each_paid_once(system: System, buyers: Sequence[Buyer]) -> None:
    orders, told = await orders_of(system, buyers), mails(system)
    assert [order.traces for order in orders.values() if order.traces != PAID] == []
    assert {buyer.cart_id for buyer in buyers} == orders.keys()
    assert [buyer.email for buyer in buyers if told[buyer.email] != 1] == []


async def assert_untouched(system: System, buyer: Buyer, draft: OrderFacts) -> None:
    """The cart is open, and nothing is held for it, booked or told."""
    assert (await buyer.sees_cart(system.apis[0]))["status"] == "open"
    traces = draft.traces
    assert (traces.status, traces.events, traces.provider, traces.booked, traces.told) == ("draft", [], [], [], [])
    assert set(traces.stock) <= {"released"}


async def assert_books_balance(system: System) -> None:
    api = system.apis[0]
    balance = (await api.client.get("/v1/ledger/trial_balance", headers=api.shop.admin)).json()
    assert balance["balanced"], balance


@asynccontextmanager
async def never_oversold(system: System, *skus: str) -> AsyncIterator[None]:
    """Looks at the stock again and again meanwhile, and at least once."""
    looks = 0

    async def watch(session: "asyncpg.Connection[asyncpg.Record]") -> None:
        nonlocal looks
        while True:
            for sku, on_hand, allocated, reserved in await session.fetch(LEVELS, list(skus)):
                assert on_hand >= allocated + reserved, f"{sku} is oversold: {allocated} + {reserved} of {on_hand}"
            looks += 1

    session = await asyncpg.connect(system.settings.database_url)
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch(session))
            yield
            watching.cancel()
    finally:
        await session.close()
    assert looks
