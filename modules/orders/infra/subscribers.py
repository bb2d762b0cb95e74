"""What orders hears. Browser, worker and the provider's webhook all end in the same functions."""

from typing import Final

import msgspec

from modules.orders.domain.completion import record_capture
from modules.orders.domain.order import Order
from modules.orders.domain.ports import Work
from shared.domain.errors import NotFound
from shared.domain.events import Delivery
from shared.infra.events.subscription import On, Subscription, database


class PaymentMoved(msgspec.Struct, frozen=True):
    """What we read of an intent that was authorised, failed or called off: `reference` is our order's id."""

    reference: str


class PaymentCaptured(msgspec.Struct, frozen=True):
    """`captured` is the sum of the intent's captures so far, in minor units."""

    intent_id: str
    reference: str
    captured: int


class RefundSucceeded(msgspec.Struct, frozen=True):
    """`refunded` is the sum of the intent's refunds so far, in minor units."""

    intent_id: str
    reference: str
    refunded: int


class RefundFailed(msgspec.Struct, frozen=True):
    """`refunded` is the sum of the refunds that stand, in minor units; `failure` is the provider's code."""

    intent_id: str
    reference: str
    refunded: int
    failure: str


async def payment_moved(work: Work, delivery: Delivery[PaymentMoved]) -> None:
    """A completion that waits for its customer or its provider goes on."""
    try:
        order = await work.orders.lock(delivery.data.reference)
    except NotFound:
        return
    if order.saga_id is not None:
        work.wake_saga(order.saga_id)


async def payment_captured(work: Work, delivery: Delivery[PaymentCaptured]) -> None:
    if (order := await _paid_by(work, delivery.data.intent_id, delivery.data.reference)) is not None:
        record_capture(work, order, delivery.data.captured)
        await work.orders.save(order)


async def refund_succeeded(work: Work, delivery: Delivery[RefundSucceeded]) -> None:
    order = await _paid_by(work, delivery.data.intent_id, delivery.data.reference)
    if order is not None and order.record_refund(delivery.data.refunded):
        await work.orders.save(order)


async def refund_failed(work: Work, delivery: Delivery[RefundFailed]) -> None:
    if (order := await _paid_by(work, delivery.data.intent_id, delivery.data.reference)) is not None:
        order.record_failed_refund(delivery.data.refunded, delivery.data.failure)
        await work.orders.save(order)


async def _paid_by(work: Work, intent_id: str, reference: str) -> Order | None:
    """None for what is not an order's, and for an attempt of a completion that has placed no order: its saga knows its money."""
    try:
        order = await work.orders.lock(reference)
    except NotFound:
        return None
    return order if order.intent_id == intent_id else None


SUBSCRIPTIONS: Final[tuple[Subscription[Work], ...]] = (
    database(
        "orders.payments",
        "payments",
        {
            "payments.payment_authorized": On(PaymentMoved, payment_moved),
            "payments.payment_failed": On(PaymentMoved, payment_moved),
            "payments.payment_captured": On(PaymentCaptured, payment_captured),
            "payments.payment_cancelled": On(PaymentMoved, payment_moved),
            "payments.refund_succeeded": On(RefundSucceeded, refund_succeeded),
            "payments.refund_failed": On(RefundFailed, refund_failed),
        },
    ),
)
