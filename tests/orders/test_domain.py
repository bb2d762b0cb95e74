"""The rules of carts and orders, without a database."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.orders.domain.cart import Address, Cart, CartDetails, CartStatus
from modules.orders.domain.checkout import agree
from modules.orders.domain.errors import AttemptsUsedUp, CartFull, CartIncomplete, CartNotOpen, CompletionInProgress, PriceChanged
from modules.orders.domain.order import (
    MAX_ATTEMPTS,
    ORDER_TRANSITIONS,
    PAYMENT_TRANSITIONS,
    FulfilmentStatus,
    Order,
    OrderStatus,
    PaymentStatus,
)
from modules.orders.domain.owner import Owner
from modules.orders.domain.totals import Offer, PricedLine, price_lines, sum_of
from modules.orders.domain.views import cart_view, order_view
from shared.domain.errors import IllegalTransition, NotFound, StaleVersion
from shared.domain.money import Money

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ADDRESS = Address(name="Ada", line1="1 Main St", city="Oslo", postal_code="0150", country="NO")


def offer(variant_id: str = "var_a", amount: int | None = 500, *, sellable: bool = True, currency: str = "USD") -> Offer:
    return Offer(variant_id, "prd_a", f"SKU-{variant_id}", "A thing", None if amount is None else Money(amount, currency), sellable)


def cart(*items: tuple[str, int]) -> Cart:
    made = Cart(id="crt_1", owner=Owner(user_id="usr_1"), currency="USD", shipping_address=ADDRESS)
    for variant_id, quantity in items:
        made.add(variant_id, quantity)
    return made


def placed() -> Order:
    made = draft()
    made.place("100001", "pin_1", NOW)
    return made


def draft() -> Order:
    line = PricedLine("var_a", "prd_a", "SKU-a", "A thing", 2, Money(500, "USD"), Money(1000, "USD"))
    return Order.draft(cart(("var_a", 2)), [line], ADDRESS, None)


@given(st.lists(st.tuples(st.integers(1, 999), st.integers(0, 10**9)), max_size=20), st.sampled_from(["JPY", "USD", "KWD"]))
def test_a_total_is_the_sum_of_its_lines(items: list[tuple[int, int]], currency: str) -> None:
    offers = {f"v{i}": offer(f"v{i}", amount, currency=currency) for i, (_, amount) in enumerate(items)}
    lines = [line for line in price_lines({f"v{i}": quantity for i, (quantity, _) in enumerate(items)}, offers) if line]
    assert sum_of(lines, currency) == Money(sum(quantity * amount for quantity, amount in items), currency)


def test_the_same_variant_twice_is_one_item() -> None:
    assert [(i.variant_id, i.quantity) for i in cart(("var_a", 2), ("var_b", 1), ("var_a", 3)).items] == [("var_a", 5), ("var_b", 1)]


def test_a_cart_has_room_for_so_much() -> None:
    full = cart(*[(f"var_{i}", 1) for i in range(100)])
    with pytest.raises(CartFull):
        full.add("var_100", 1)
    with pytest.raises(CartFull):
        cart(("var_a", 999)).add("var_a", 1)


def test_an_item_that_is_not_there_cannot_be_changed() -> None:
    one = cart(("var_a", 1))
    with pytest.raises(NotFound):
        one.remove("itm_x")
    with pytest.raises(NotFound):
        one.set_quantity("itm_x", 1)


def test_every_change_raises_the_version() -> None:
    one = cart(("var_a", 1))
    before = one.version
    one.set_quantity(one.items[0].id, 3)
    one.set_details(CartDetails(email="a@example.com"))
    one.remove(one.items[0].id)
    assert one.version == before + 3
    with pytest.raises(StaleVersion):
        one.expect_version(before)


@pytest.mark.parametrize("status", [CartStatus.COMPLETING, CartStatus.COMPLETED])
def test_a_cart_that_is_not_open_cannot_be_changed(status: CartStatus) -> None:
    shut = cart(("var_a", 1))
    item, version = shut.items[0].id, shut.version
    shut.status = status
    changes: list[Callable[[], None]] = [
        lambda: shut.add("var_b", 1),
        lambda: shut.remove(item),
        lambda: shut.set_quantity(item, 2),
        lambda: shut.set_details(CartDetails(email=None)),
        lambda: shut.claim("usr_2"),
        lambda: shut.begin_completion("ord_1"),
    ]
    for change in changes:
        with pytest.raises(CartNotOpen):
            change()
    assert shut.version == version


@pytest.mark.parametrize("status", [CartStatus.OPEN, CartStatus.COMPLETED])
def test_only_a_cart_being_completed_can_be_reopened_or_closed(status: CartStatus) -> None:
    one = cart(("var_a", 1))
    one.status = status
    for change in (one.reopen, one.close):
        with pytest.raises(CartNotOpen):
            change()


def test_a_patch_leaves_what_it_does_not_name_and_clears_what_it_nulls() -> None:
    one = cart()
    one.set_details(CartDetails(email="a@example.com"))
    assert (one.email, one.shipping_address) == ("a@example.com", ADDRESS)
    one.set_details(msgspec.convert({"email": None}, CartDetails))
    assert (one.email, one.shipping_address) == (None, ADDRESS)


def test_a_guest_s_empty_cart_says_all_that_it_needs() -> None:
    guest = Cart(id="crt_1", owner=Owner(token_hash="h"), currency="USD")
    assert [r.code for r in guest.requirements([])] == ["items", "email", "shipping_address"]


@pytest.mark.parametrize("bad", [None, offer(sellable=False), offer(amount=None)])
def test_an_item_that_cannot_be_sold_blocks_completion(bad: Offer | None) -> None:
    one = cart(("var_a", 1))
    lines = one.priced({} if bad is None else {"var_a": bad})
    assert [r.item_id for r in one.requirements(lines)] == [one.items[0].id]
    with pytest.raises(CartIncomplete):
        agree(one, lines, Money(500, "USD"), None)


def test_a_total_that_was_not_expected_is_refused_and_told() -> None:
    one = cart(("var_a", 2))
    with pytest.raises(PriceChanged) as caught:
        agree(one, one.priced({"var_a": offer()}), Money(999, "USD"), None)
    assert caught.value.facts["total"] == Money(1000, "USD")


def test_the_next_attempt_rewrites_the_draft_under_the_same_id() -> None:
    first = draft()
    first.fail_attempt("payment_declined")
    second = Order.draft(cart(("var_a", 1)), first.lines, ADDRESS, first)
    assert (second.id, second.attempt) == (first.id, 2)
    assert second.attempt_key != first.attempt_key


def test_a_cart_is_attempted_so_many_times_and_no_more() -> None:
    order = draft()
    for _ in range(MAX_ATTEMPTS - 1):
        order.fail_attempt("payment_declined")
        order = Order.draft(cart(("var_a", 1)), order.lines, ADDRESS, order)
    order.fail_attempt("payment_declined")
    with pytest.raises(AttemptsUsedUp):
        Order.draft(cart(("var_a", 1)), order.lines, ADDRESS, order)


def test_an_order_that_is_worth_nothing_is_paid_with_nothing_once() -> None:
    free = Order.draft(cart(("var_a", 1)), [PricedLine("var_a", "prd_a", "SKU-a", "A", 1, Money(0, "USD"), Money(0, "USD"))], ADDRESS, None)
    free.place("100001", None, NOW)
    assert [free.record_capture(0), free.record_capture(0)] == [True, False]
    assert free.payment_status is PaymentStatus.PAID
    unpaid = placed()
    assert not unpaid.record_capture(0)
    assert unpaid.payment_status is PaymentStatus.AUTHORIZED


def test_a_placed_order_cannot_become_a_draft_again() -> None:
    with pytest.raises(IllegalTransition):
        Order.draft(cart(("var_a", 1)), [], ADDRESS, placed())


@pytest.mark.parametrize(
    ("before", "after"), [pair for pair in product(OrderStatus, OrderStatus) if pair[1] not in ORDER_TRANSITIONS[pair[0]]]
)
def test_every_illegal_step_of_an_order_is_refused(before: OrderStatus, after: OrderStatus) -> None:
    one = placed()
    one.status = before
    with pytest.raises(IllegalTransition):
        one._move(after)
    assert one.status is before


@pytest.mark.parametrize(
    ("before", "after"), [pair for pair in product(PaymentStatus, PaymentStatus) if pair[1] not in PAYMENT_TRANSITIONS[pair[0]]]
)
def test_every_illegal_step_of_a_payment_is_refused(before: PaymentStatus, after: PaymentStatus) -> None:
    if before is after is PaymentStatus.PARTIALLY_PAID:
        return
    one = placed()
    one.payment_status = before
    with pytest.raises(IllegalTransition):
        one._move_payment(after)
    assert one.payment_status is before


def test_an_order_is_paid_once_however_often_it_is_told() -> None:
    one = placed()
    assert one.record_capture(400) is False
    assert one.payment_status is PaymentStatus.PARTIALLY_PAID
    assert one.record_capture(1000) is True
    version = one.version
    assert one.record_capture(1000) is False
    assert one.record_capture(400) is False
    assert (one.payment_status, one.version) == (PaymentStatus.PAID, version)


def test_refunds_add_up_to_refunded() -> None:
    one = placed()
    one.record_capture(1000)
    statuses = []
    for refunded in (300, 600, 1000):
        assert one.record_refund(refunded)
        statuses.append(one.payment_status)
    assert statuses == ["partially_refunded", "partially_refunded", "refunded"]
    assert one.record_refund(1000) is False


def test_a_refund_that_fails_leaves_what_was_given_back_before() -> None:
    one = placed()
    one.record_capture(1000)
    one.record_failed_refund(0, "account_closed")
    assert (one.payment_status, one.refunded) == (PaymentStatus.PAID, 0)
    one.record_refund(1000)
    one.record_failed_refund(400, "account_closed")
    assert (one.payment_status, one.refunded) == (PaymentStatus.PARTIALLY_REFUNDED, 400)
    one.record_failed_refund(0, "account_closed")
    assert (one.payment_status, one.refunded) == (PaymentStatus.PAID, 0)


def test_an_order_that_a_saga_works_on_cannot_be_cancelled() -> None:
    one = placed()
    one.saga_id = "sag_1"
    with pytest.raises(CompletionInProgress):
        one.cancel("changed my mind")


def test_goods_that_have_left_are_returned_not_cancelled() -> None:
    one = placed()
    one.fulfilment_status = FulfilmentStatus.PARTIAL
    with pytest.raises(IllegalTransition):
        one.cancel("changed my mind")


def test_a_payment_may_arrive_in_parts() -> None:
    one = placed()
    assert [one.record_capture(sum_so_far) for sum_so_far in (100, 300, one.total.amount)] == [False, False, True]
    assert one.payment_status is PaymentStatus.PAID


def test_only_a_draft_s_completion_can_fail() -> None:
    with pytest.raises(IllegalTransition):
        placed().fail_attempt("payment_declined")


def test_a_draft_is_not_shown() -> None:
    with pytest.raises(ValueError, match="draft"):
        order_view(draft())


def test_what_is_not_sold_any_more_is_shown_without_a_price() -> None:
    shown = cart_view(cart(("var_a", 1)), [None])
    assert (shown.items[0].variant_id, shown.items[0].unit_price, shown.total) == ("var_a", None, Money(0, "USD"))
    assert "items" not in [requirement.code for requirement in shown.requirements]
