"""Carts and orders in a real Postgres: what is stored comes back, belongs to its owner, and is found by an index."""

import asyncio
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import asyncpg
import pytest

from modules.orders.domain.cart import Address, Cart, CartDetails
from modules.orders.domain.order import FulfilmentStatus, Order, OrderStatus, PaymentStatus
from modules.orders.domain.owner import Owner
from modules.orders.domain.ports import Work
from modules.orders.domain.totals import PricedLine
from modules.orders.infra import queries
from shared.domain.errors import NotFound
from shared.domain.ids import new_id
from shared.domain.money import Money
from shared.domain.page import PageRequest
from shared.domain.work import Transact
from shared.infra.db.errors import constraint
from tests.chassis.waiting import until

ADDRESS = Address(name="Ada", line1="1 Main St", city="Oslo", postal_code="0150", country="NO")


@pytest.fixture(scope="module")
def transact(container: Any) -> Transact[Work]:
    made: Transact[Work] = container.orders.transact()
    return made


@pytest.fixture(scope="module")
def found(container: Any) -> queries.SqlOrderQueries:
    made: queries.SqlOrderQueries = container.orders.queries()
    return made


async def stored_cart(transact: Transact[Work], owner: Owner, *variants: str) -> Cart:
    cart = Cart(id=new_id("crt"), owner=owner, currency="USD")

    async def work(work: Work) -> None:
        await work.carts.add(cart)
        locked = await work.carts.lock(cart.id, owner)
        locked.set_details(CartDetails(email="a@example.org", shipping_address=ADDRESS))
        for variant in variants:
            locked.add(variant, 2)
        await work.carts.save(locked)

    await transact(work)
    return cart


async def placed_order(transact: Transact[Work], owner: Owner) -> Order:
    cart = await stored_cart(transact, owner, "var_a", "var_b")
    lines = [PricedLine(v, "prd_1", v.upper(), "A thing", 2, Money(500, "USD"), Money(1000, "USD")) for v in ("var_a", "var_b")]

    async def work(work: Work) -> Order:
        locked, _ = await work.checkouts.lock(cart.id, owner)
        await work.checkouts.put_draft(locked, Order.draft(locked, lines, ADDRESS, None))
        _, draft = await work.checkouts.lock(cart.id, owner)
        assert draft is not None
        _, order, number, now = await work.checkouts.lock_to_place(draft.id)
        order.place(number, "pin_1", now)
        await work.checkouts.save(locked, order)
        return order

    return await transact(work)


async def test_a_cart_comes_back_as_it_was_stored(transact: Transact[Work], found: queries.SqlOrderQueries) -> None:
    owner = Owner(user_id=new_id("usr"))
    cart = await stored_cart(transact, owner, "var_a", "var_b")
    seen = await found.cart(cart.id, owner)
    assert seen is not None
    assert (seen.email, seen.shipping_address, seen.wanted(), seen.version) == ("a@example.org", ADDRESS, {"var_a": 2, "var_b": 2}, 4)


async def test_items_that_are_removed_or_changed_are_so_in_the_table(transact: Transact[Work], found: queries.SqlOrderQueries) -> None:
    owner = Owner(token_hash="h" * 64)
    cart = await stored_cart(transact, owner, "var_a", "var_b", "var_c")

    async def work(work: Work) -> None:
        locked = await work.carts.lock(cart.id, owner)
        locked.remove(locked.items[0].id)
        locked.set_quantity(locked.items[0].id, 7)
        locked.add("var_d", 1)
        await work.carts.save(locked)

    await transact(work)
    seen = await found.cart(cart.id, owner)
    assert seen is not None
    assert seen.wanted() == {"var_b": 7, "var_c": 2, "var_d": 1}


@pytest.mark.parametrize("together", [False, True], ids=["alone", "with its order"])
async def test_who_waits_for_a_cart_then_sees_what_was_put_in_meanwhile(transact: Transact[Work], found: Any, together: bool) -> None:
    """Its statement began before that item was there, and locks only the cart."""
    owner, is_locked, may_end = Owner(user_id=new_id("usr")), asyncio.Event(), asyncio.Event()
    cart = await stored_cart(transact, owner, "var_a")

    async def first(work: Work) -> None:
        locked = await work.carts.lock(cart.id, owner)
        locked.add("var_b", 1)
        await work.carts.save(locked)
        is_locked.set()
        await may_end.wait()

    async def second(work: Work) -> dict[str, int]:
        locked = (await work.checkouts.lock(cart.id, owner))[0] if together else await work.carts.lock(cart.id, owner)
        return locked.wanted()

    one = asyncio.create_task(transact(first))
    await is_locked.wait()
    two = asyncio.create_task(transact(second))
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    await until(lambda: found._database.fetchval(waiting))
    may_end.set()
    await one
    assert await two == {"var_a": 2, "var_b": 1}


async def test_a_row_of_somebody_else_is_not_found(transact: Transact[Work], found: queries.SqlOrderQueries) -> None:
    owner, stranger = Owner(user_id=new_id("usr")), Owner(user_id=new_id("usr"))
    order = await placed_order(transact, owner)
    assert await found.cart(order.cart_id, stranger) is None
    assert await found.order(order.id, stranger) is None
    assert (await found.timeline(order.id, stranger, PageRequest())).items == []
    assert await found.order(order.id, None) is not None
    for look in (lambda w: w.carts.lock(order.cart_id, stranger), lambda w: w.orders.lock(order.id, stranger)):
        with pytest.raises(NotFound):
            await transact(look)


async def test_an_order_comes_back_as_it_was_agreed(transact: Transact[Work], found: queries.SqlOrderQueries) -> None:
    owner = Owner(user_id=new_id("usr"))
    order = await placed_order(transact, owner)
    view = await found.order(order.id, owner)
    assert view is not None
    assert (view.status, view.payment_status, view.total) == ("placed", "authorized", Money(2000, "USD"))
    assert [(line.sku, line.quantity) for line in view.lines] == [("VAR_A", 2), ("VAR_B", 2)]
    [summary] = await found.summaries([order.id, "ord_unknown"])
    assert (summary.number, summary.user_id, summary.guest_email) == (order.number, owner.user_id, None)


async def test_a_draft_is_seen_by_nobody(transact: Transact[Work], found: queries.SqlOrderQueries) -> None:
    owner = Owner(user_id=new_id("usr"))
    cart = await stored_cart(transact, owner, "var_a")
    line = PricedLine("var_a", "prd_1", "A", "A thing", 2, Money(500, "USD"), Money(1000, "USD"))

    async def work(work: Work) -> Order:
        order = Order.draft(cart, [line], ADDRESS, None)
        await work.checkouts.put_draft(cart, order)
        return order

    draft = await transact(work)
    assert await found.order(draft.id, owner) is None
    assert await found.summaries([draft.id]) == []
    assert (await found.orders(owner, None, PageRequest())).items == []


async def test_one_cart_has_one_order_whoever_is_first(transact: Transact[Work]) -> None:
    owner = Owner(user_id=new_id("usr"))
    cart = await stored_cart(transact, owner, "var_a")
    line = PricedLine("var_a", "prd_1", "A", "A thing", 2, Money(500, "USD"), Money(1000, "USD"))

    async def work(work: Work) -> None:
        await work.checkouts.put_draft(cart, Order.draft(cart, [line], ADDRESS, None))

    outcomes = await asyncio.gather(*(transact(work) for _ in range(8)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == 7
    assert {constraint(error) for error in refused} == {"customer_order_cart_unique"}


BAD_ROWS: dict[str, str] = {
    "customer_order_placed_whole": "update customer_order set intent_id = null where id = $1",
    "customer_order_refunds": "update customer_order set refunded = captured + 1 where id = $1",
    "customer_order_status": "update customer_order set status = 'lost' where id = $1",
    "customer_order_payment_status": "update customer_order set payment_status = 'lost' where id = $1",
    "customer_order_fulfilment_status": "update customer_order set fulfilment_status = 'lost' where id = $1",
    "order_line_quantity": "update order_line set quantity = 0 where order_id = $1",
}


@pytest.mark.parametrize("name", BAD_ROWS)
async def test_the_table_refuses_what_the_model_would_never_do(transact: Transact[Work], container: Any, name: str) -> None:
    order = await placed_order(transact, Owner(user_id=new_id("usr")))
    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await container.orders.database().fetch(BAD_ROWS[name], order.id)
    assert constraint(caught.value) == name


@pytest.mark.parametrize(
    ("column", "statuses"), [("status", OrderStatus), ("payment_status", PaymentStatus), ("fulfilment_status", FulfilmentStatus)]
)
async def test_the_table_knows_the_statuses_that_the_model_knows(admin_dsn: str, column: str, statuses: type[StrEnum]) -> None:
    admin = await asyncpg.connect(admin_dsn)
    said = await admin.fetchval(f"select pg_get_constraintdef(oid) from pg_constraint where conname = 'customer_order_{column}'")
    await admin.close()
    assert set(re.findall(r"'([a-z_]+)'", said)) == {status.value for status in statuses}


async def test_the_timeline_can_only_be_added_to(container: Any) -> None:
    for statement in ("update order_entry set kind = 'x'", "delete from order_entry", "delete from customer_order"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await container.orders.database().fetch(statement)


async def test_placed_at_is_the_database_s_clock(transact: Transact[Work]) -> None:
    order = await placed_order(transact, Owner(user_id=new_id("usr")))
    assert order.placed_at is not None
    assert order.placed_at.tzinfo is UTC or order.placed_at.utcoffset() == datetime.now(UTC).utcoffset()
