"""Completing a cart: reserve → authorize → allocate → place (the pivot) → capture, as a saga.

A refusal before the pivot gives everything back and reopens the cart with its draft; the next call is a new attempt.
"""

from datetime import timedelta
from typing import Final

import msgspec

from modules.orders.domain.cancellation import CANCEL_ORDER, CancelOrder
from modules.orders.domain.errors import PaymentDeclined
from modules.orders.domain.order import Order
from modules.orders.domain.ports import Authorization, CaptureRefused, HeldLine, Payment, Stock, Work
from modules.orders.domain.views import Completion, order_view
from modules.orders.public import OrderCancelled, OrderPaid, OrderPlaced
from shared.domain.money import Money
from shared.domain.saga import Call, Failure, Local, Remote, Saga, Waiting

COMPLETE_CART: Final = "orders.complete_cart"
RECHECK_ACTION: Final = timedelta(minutes=2)
"""How long to wait for news of a customer's 3-D Secure before the provider is asked again."""


class CompleteCart(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one attempt. `attempt_key` names its hold and its authorisation, the same on every retry; `captured` is in
    minor units, and is less than the amount where staff has given up a part of it."""

    cart_id: str
    order_id: str
    attempt_key: str
    amount: Money
    lines: list[HeldLine]
    payment_method: str
    hold_seconds: int
    intent_id: str | None = None
    action_url: str | None = None
    captured: int = 0
    capture_refused: bool = False

    @classmethod
    def of(cls, order: Order, payment_method: str, hold_seconds: int) -> "CompleteCart":
        return cls(
            cart_id=order.cart_id,
            order_id=order.id,
            attempt_key=order.attempt_key,
            amount=order.total,
            lines=[HeldLine(line.sku, line.quantity) for line in order.lines],
            payment_method=payment_method,
            hold_seconds=hold_seconds,
        )

    @property
    def is_free(self) -> bool:
        """There is nothing to take, and so nobody is asked for it."""
        return not self.amount.amount

    def authorized(self, intent_id: str) -> "CompleteCart":
        return msgspec.structs.replace(self, intent_id=intent_id, action_url=None)

    def needs_action(self, authorization: Authorization) -> "CompleteCart":
        return msgspec.structs.replace(self, intent_id=authorization.intent_id, action_url=authorization.action_url)


class CompletionSteps:
    """The steps' functions, with the neighbours that they ask."""

    def __init__(self, stock: Stock, payment: Payment) -> None:
        self._stock = stock
        self._payment = payment

    def saga(self) -> Saga[Work, CompleteCart]:
        return Saga(
            name=COMPLETE_CART,
            version=1,
            state=CompleteCart,
            steps=[
                Remote("reserve", self._reserve, self._release),
                Remote("authorize", self._authorize, self._call_off),
                Remote("allocate", self._allocate, self._give_back),
                Local("place", self._place, pivot=True),
                Remote("capture", self._capture),
            ],
            finish=self._finish,
            result="/v1/orders/{key}",
            action_url=lambda state: state.action_url,
        )

    async def _reserve(self, state: CompleteCart, call: Call) -> CompleteCart:
        await self._stock.hold(state.attempt_key, state.lines, state.hold_seconds)
        return state

    async def _release(self, state: CompleteCart, call: Call) -> CompleteCart:
        await self._stock.release(state.attempt_key)
        return state

    async def _authorize(self, state: CompleteCart, call: Call) -> CompleteCart:
        if state.is_free:
            return state
        answer = await self._payment.authorize(state.attempt_key, state.order_id, state.amount, state.payment_method)
        if answer.status == "declined":
            raise PaymentDeclined("the payment method was declined", decline_code=answer.decline_code)
        if answer.status == "requires_action":
            raise Waiting(state.needs_action(answer), RECHECK_ACTION)
        return state.authorized(answer.intent_id)

    async def _call_off(self, state: CompleteCart, call: Call) -> CompleteCart:
        await self._payment.call_off(state.attempt_key, state.order_id, "completion_failed")
        return state

    async def _allocate(self, state: CompleteCart, call: Call) -> CompleteCart:
        await self._stock.allocate(state.attempt_key)
        return state

    async def _give_back(self, state: CompleteCart, call: Call) -> CompleteCart:
        await self._stock.give_back(state.attempt_key)
        return state

    async def _place(self, work: Work, state: CompleteCart) -> CompleteCart:
        cart, order, number, now = await work.checkouts.lock_to_place(state.order_id)
        order.place(number, None if state.is_free else intent_of(state), now)
        cart.close()
        await work.checkouts.save(cart, order)
        work.record(
            OrderPlaced(order_id=order.id, cart_id=cart.id, amount=order.total.amount, currency=order.total.currency), version=order.version
        )
        return state

    async def _capture(self, state: CompleteCart, call: Call) -> CompleteCart:
        if state.is_free:
            return state
        try:
            captured = await self._payment.capture(call.key, intent_of(state))
        except CaptureRefused:
            return msgspec.structs.replace(state, capture_refused=True)
        return msgspec.structs.replace(state, captured=captured)

    async def _finish(self, work: Work, state: CompleteCart, failure: Failure | None) -> Completion:
        if failure is not None:
            return await self._reopen(work, state, failure)
        order = await work.orders.lock(state.order_id)
        order.end_saga()
        if state.capture_refused:
            order.cancel("payment_refused")
            order.saga_id = work.begin_saga(CANCEL_ORDER, CancelOrder.of(order, "payment_refused"), key=order.id)
            work.record(OrderCancelled(order_id=order.id, cause="payment_refused"), version=order.version)
        else:
            record_capture(work, order, state.captured)
        await work.orders.save(order)
        return Completion(order=order_view(order))

    async def _reopen(self, work: Work, state: CompleteCart, failure: Failure) -> Completion:
        cart, order = await work.checkouts.lock_attempt(state.order_id)
        cart.reopen()
        order.fail_attempt(failure.code)
        await work.checkouts.save(cart, order)
        return Completion(failure=failure)


def record_capture(work: Work, order: Order, captured: int) -> None:
    """Completion and the payment's event both come here; only the first one tells that the order is paid."""
    if order.record_capture(captured):
        work.record(OrderPaid(order_id=order.id, amount=order.total.amount, currency=order.total.currency), version=order.version)


def intent_of(state: CompleteCart) -> str:
    if state.intent_id is None:
        raise ValueError("nothing has been authorised yet")
    return state.intent_id
