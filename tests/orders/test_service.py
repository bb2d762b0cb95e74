"""The use cases of carts and orders against fakes of their neighbours."""

from dataclasses import dataclass

import pytest

from modules.orders.domain.cancellation import CancellationSteps
from modules.orders.domain.cart import Address, CartDetails
from modules.orders.domain.carts import CartService, hash_of
from modules.orders.domain.checkout import CheckoutService
from modules.orders.domain.completion import CompleteCart, CompletionSteps, intent_of
from modules.orders.domain.errors import CartIncomplete, CartNotOpen, NotSellable, PriceChanged
from modules.orders.domain.orders import OrderService
from modules.orders.domain.views import CartView, Completion, OrderView, StillRunning
from modules.orders.public import OrderCancelled, OrderPaid, OrderPlaced
from shared.domain.context import Principal
from shared.domain.errors import IllegalTransition, NotFound, StaleVersion
from shared.domain.money import Money, UnknownCurrency
from shared.domain.saga import Underway
from tests.orders import fakes

ADA = Principal(kind="user", id="usr_ada", roles=frozenset({"customer"}))
EVE = Principal(kind="user", id="usr_eve", roles=frozenset({"customer"}))
STAFF = Principal(kind="user", id="usr_sam", roles=frozenset({"support"}))
GUEST = Principal()
ADDRESS = Address(name="Ada", line1="1 Main St", city="Oslo", postal_code="0150", country="NO")


@dataclass
class Shop:
    database: fakes.Database
    catalogue: fakes.Catalogue
    stock: fakes.Stock
    payment: fakes.Payment
    carts: CartService
    checkout: CheckoutService
    orders: OrderService

    async def filled(self, quantity: int = 2) -> CartView:
        cart = (await self.carts.create(ADA, "USD")).cart
        await self.carts.set_details(ADA, cart.id, CartDetails(shipping_address=ADDRESS), cart.version)
        return await self.carts.add_item(ADA, cart.id, "var_a", quantity, None)

    async def bought(self, method: str = "pm_ok") -> Completion | StillRunning:
        cart = await self.filled()
        return await self.checkout.complete(ADA, cart.id, cart.total, method)

    async def order(self) -> OrderView:
        done = await self.bought()
        assert isinstance(done, Completion)
        assert done.order is not None
        return done.order

    def told(self) -> list[type]:
        return [type(event) for event in self.database.store.events]


@pytest.fixture
def shop() -> Shop:
    database, catalogue, stock, payment = (
        fakes.Database(),
        fakes.Catalogue({"var_a": 500, "var_b": 70}),
        fakes.Stock({"VAR_A": 5}),
        fakes.Payment(),
    )
    queries = fakes.Queries(database)
    sagas = fakes.Sagas(database, [CompletionSteps(stock, payment).saga(), CancellationSteps(stock, payment).saga()])
    return Shop(
        database,
        catalogue,
        stock,
        payment,
        CartService(database.transact, queries, catalogue),
        CheckoutService(database.transact, queries, catalogue, sagas, 900),
        OrderService(database.transact, queries, sagas),
    )


async def test_a_user_s_cart_has_no_token_and_a_guest_s_cart_is_opened_by_it(shop: Shop) -> None:
    assert (await shop.carts.create(ADA, "USD")).token is None
    made = await shop.carts.create(GUEST, "USD")
    assert made.token is not None
    holder = Principal(kind="cart", id=hash_of(made.token))
    assert (await shop.carts.read(holder, made.cart.id)).id == made.cart.id
    with pytest.raises(NotFound):
        await shop.carts.read(Principal(kind="cart", id=hash_of("guess")), made.cart.id)


async def test_a_cart_needs_a_currency_that_is_traded(shop: Shop) -> None:
    with pytest.raises(UnknownCurrency):
        await shop.carts.create(ADA, "XXX")


async def test_somebody_else_s_cart_is_not_found(shop: Shop) -> None:
    cart = await shop.filled()
    with pytest.raises(NotFound):
        await shop.carts.read(EVE, cart.id)
    with pytest.raises(NotFound):
        await shop.carts.add_item(EVE, cart.id, "var_a", 1, None)
    with pytest.raises(NotFound):
        await shop.checkout.complete(EVE, cart.id, cart.total, "pm_ok")


async def test_every_answer_carries_totals_and_what_is_missing(shop: Shop) -> None:
    cart = (await shop.carts.create(ADA, "USD")).cart
    assert [r.code for r in cart.requirements] == ["items", "shipping_address"]
    cart = await shop.carts.add_item(ADA, cart.id, "var_a", 2, None)
    assert cart.total == Money(1000, "USD")
    assert [r.code for r in cart.requirements] == ["shipping_address"]
    cart = await shop.carts.set_quantity(ADA, cart.id, cart.items[0].id, 3, None)
    assert cart.total == Money(1500, "USD")
    cart = await shop.carts.remove_item(ADA, cart.id, cart.items[0].id, None)
    assert cart.total == Money(0, "USD")


async def test_what_is_not_sold_does_not_get_into_a_cart(shop: Shop) -> None:
    cart = (await shop.carts.create(ADA, "USD")).cart
    with pytest.raises(NotSellable):
        await shop.carts.add_item(ADA, cart.id, "var_unknown", 1, None)


async def test_a_stale_version_is_refused(shop: Shop) -> None:
    cart = await shop.filled()
    with pytest.raises(StaleVersion):
        await shop.carts.set_details(ADA, cart.id, CartDetails(email="a@example.com"), cart.version - 1)


async def test_a_guest_s_cart_is_claimed_with_both_credentials(shop: Shop) -> None:
    made = await shop.carts.create(GUEST, "USD")
    assert made.token is not None
    with pytest.raises(NotFound):
        await shop.carts.claim(ADA, made.cart.id, "guess")
    await shop.carts.claim(ADA, made.cart.id, made.token)
    assert (await shop.carts.read(ADA, made.cart.id)).id == made.cart.id
    with pytest.raises(NotFound):
        await shop.carts.claim(EVE, made.cart.id, made.token)


async def test_a_completed_cart_is_a_paid_order_with_its_prices_frozen(shop: Shop) -> None:
    order = await shop.order()
    assert (order.status, order.payment_status, order.total) == ("placed", "paid", Money(1000, "USD"))
    assert shop.told() == [OrderPlaced, OrderPaid]
    assert list(shop.payment.captured.values()) == [1000]
    assert shop.stock.on_hand == {"VAR_A": 3}
    shop.catalogue.prices["var_a"] = 1
    assert (await shop.orders.read(ADA, order.id)).total == Money(1000, "USD")


async def test_a_repeat_returns_the_same_order(shop: Shop) -> None:
    order = await shop.order()
    again = await shop.checkout.complete(ADA, order.cart_id, order.total, "pm_ok")
    assert isinstance(again, Completion)
    assert again.order == order
    assert shop.told() == [OrderPlaced, OrderPaid]


async def test_a_price_that_changed_is_told_and_nothing_happens(shop: Shop) -> None:
    cart = await shop.filled()
    shop.catalogue.prices["var_a"] = 600
    with pytest.raises(PriceChanged) as caught:
        await shop.checkout.complete(ADA, cart.id, cart.total, "pm_ok")
    assert caught.value.facts["total"] == Money(1200, "USD")
    assert shop.stock.on_hand == {"VAR_A": 5}
    assert not shop.database.store.orders


async def test_an_incomplete_cart_says_what_it_needs(shop: Shop) -> None:
    cart = (await shop.carts.create(ADA, "USD")).cart
    with pytest.raises(CartIncomplete):
        await shop.checkout.complete(ADA, cart.id, cart.total, "pm_ok")


async def test_a_decline_gives_everything_back_and_another_card_may_be_tried(shop: Shop) -> None:
    cart = await shop.filled()
    declined = await shop.checkout.complete(ADA, cart.id, cart.total, "pm_declined")
    assert isinstance(declined, Completion)
    assert declined.failure is not None
    assert declined.failure.code == "payment_declined"
    assert shop.stock.on_hand == {"VAR_A": 5}
    assert (await shop.carts.read(ADA, cart.id)).status == "open"
    assert shop.told() == []
    bought = await shop.checkout.complete(ADA, cart.id, cart.total, "pm_ok")
    assert isinstance(bought, Completion)
    assert bought.order is not None
    assert shop.database.store.timeline[bought.order.id] == [
        "completion_started", "completion_failed", "completion_started", "placed", "captured",
    ]  # fmt: skip


async def test_a_cart_that_is_worth_nothing_is_ordered_without_a_payment(shop: Shop) -> None:
    shop.catalogue.prices["var_a"] = 0
    order = await shop.order()
    assert (order.status, order.payment_status, order.payment_intent_id) == ("placed", "paid", None)
    assert shop.told() == [OrderPlaced, OrderPaid]
    assert (shop.payment.authorized, shop.payment.captured) == ({}, {})
    cancelled = await shop.orders.cancel(ADA, order.id, "changed my mind", None)
    assert isinstance(cancelled, OrderView)
    assert (cancelled.status, cancelled.payment_status) == ("cancelled", "paid")
    assert shop.stock.on_hand == {"VAR_A": 5}


async def test_too_little_stock_gives_nothing_away(shop: Shop) -> None:
    cart = await shop.filled(quantity=6)
    refused = await shop.checkout.complete(ADA, cart.id, cart.total, "pm_ok")
    assert isinstance(refused, Completion)
    assert refused.failure is not None
    assert shop.payment.authorized == {}
    assert shop.stock.on_hand == {"VAR_A": 5}


async def test_a_card_that_wants_3d_secure_leaves_the_cart_to_be_finished_later(shop: Shop) -> None:
    running = await shop.bought("pm_3ds")
    assert isinstance(running, StillRunning)
    assert (running.status, running.action_url) == ("requires_action", "https://bank.example/3ds")


async def test_a_cart_that_became_an_order_cannot_be_changed(shop: Shop) -> None:
    order = await shop.order()
    with pytest.raises(CartNotOpen):
        await shop.carts.add_item(ADA, order.cart_id, "var_b", 1, None)


async def test_a_capture_that_is_refused_for_good_is_an_ordinary_cancellation(shop: Shop) -> None:
    done = await shop.bought("pm_uncapturable")
    assert isinstance(done, Completion)
    assert done.order is not None
    assert done.order.status == "cancelled"
    assert shop.told() == [OrderPlaced, OrderCancelled]
    assert [name for name, _, _ in shop.database.store.begun.values()] == ["orders.complete_cart", "orders.cancel_order"]


async def test_a_cancelled_order_gives_money_and_stock_back_once(shop: Shop) -> None:
    order = await shop.order()
    cancelled = await shop.orders.cancel(ADA, order.id, "changed my mind", None)
    assert isinstance(cancelled, OrderView)
    assert (cancelled.status, cancelled.payment_status) == ("cancelled", "paid"), "the provider has yet to say that the money is back"
    assert list(shop.payment.refunded.values()) == [1000]
    assert shop.stock.on_hand == {"VAR_A": 5}
    with pytest.raises(IllegalTransition):
        await shop.orders.cancel(ADA, order.id, "again", None)
    assert shop.told() == [OrderPlaced, OrderPaid, OrderCancelled]


async def test_an_order_is_seen_by_its_owner_and_by_staff(shop: Shop) -> None:
    order = await shop.order()
    assert (await shop.orders.read(STAFF, order.id)).id == order.id
    for deed in (shop.orders.read(EVE, order.id), shop.orders.cancel(EVE, order.id, "mine", None)):
        with pytest.raises(NotFound):
            await deed


async def test_when_placing_fails_money_and_stock_go_back_and_the_cart_is_open_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*_: object) -> None:
        raise NotFound("the draft is gone")

    monkeypatch.setattr(fakes.Checkouts, "lock_to_place", gone)
    cart = await shop.filled()
    failed = await shop.checkout.complete(ADA, cart.id, cart.total, "pm_ok")
    assert isinstance(failed, Completion)
    assert failed.failure is not None
    assert (shop.stock.on_hand, shop.payment.authorized, shop.told()) == ({"VAR_A": 5}, {}, [])
    assert (await shop.carts.read(ADA, cart.id)).status == "open"


async def test_what_takes_longer_than_the_request_goes_on_without_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    order, cart = await shop.order(), await shop.filled()

    async def slowly(*_: object, **__: object) -> Underway:
        return Underway()

    monkeypatch.setattr(fakes.Sagas, "run", slowly)
    completing = await shop.checkout.complete(ADA, cart.id, cart.total, "pm_ok")
    cancelling = await shop.orders.cancel(ADA, order.id, "changed my mind", None)
    assert isinstance(completing, StillRunning)
    assert isinstance(cancelling, StillRunning)
    assert [completing.status, cancelling.status] == ["running", "running"]
    assert {completing.operation_id, cancelling.operation_id} <= shop.database.store.begun.keys()


def test_nothing_is_captured_before_it_is_authorised() -> None:
    state = CompleteCart(
        cart_id="crt_1", order_id="ord_1", attempt_key="ord_1:1", amount=Money(1, "USD"), payment_method="pm_ok", lines=[], hold_seconds=900
    )
    with pytest.raises(ValueError, match="authorised"):
        intent_of(state)
