"""The order: what was agreed, on three axes of state. A transition that its table does not know is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from modules.orders.domain.cart import Address, Cart
from modules.orders.domain.errors import AttemptsUsedUp, CompletionInProgress
from modules.orders.domain.owner import Owner
from modules.orders.domain.totals import ROUNDING, PricedLine, sum_of
from shared.domain.errors import IllegalTransition
from shared.domain.ids import new_id
from shared.domain.money import Money

MAX_ATTEMPTS = 50


class OrderStatus(StrEnum):
    DRAFT = "draft"
    PLACED = "placed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class PaymentStatus(StrEnum):
    UNPAID = "unpaid"
    AUTHORIZED = "authorized"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    VOIDED = "voided"
    DISPUTED = "disputed"


class FulfilmentStatus(StrEnum):
    UNFULFILLED = "unfulfilled"
    PARTIAL = "partial"
    FULFILLED = "fulfilled"
    PARTIALLY_RETURNED = "partially_returned"
    RETURNED = "returned"


ORDER_TRANSITIONS: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.DRAFT: frozenset({OrderStatus.PLACED}),
    OrderStatus.PLACED: frozenset({OrderStatus.COMPLETED, OrderStatus.CANCELLED}),
    OrderStatus.COMPLETED: frozenset(),
    OrderStatus.CANCELLED: frozenset(),
}

PAYMENT_TRANSITIONS: Mapping[PaymentStatus, frozenset[PaymentStatus]] = {
    PaymentStatus.UNPAID: frozenset({PaymentStatus.AUTHORIZED}),
    PaymentStatus.AUTHORIZED: frozenset({PaymentStatus.PARTIALLY_PAID, PaymentStatus.PAID, PaymentStatus.VOIDED}),
    PaymentStatus.PARTIALLY_PAID: frozenset(
        {PaymentStatus.PAID, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED, PaymentStatus.DISPUTED}
    ),
    PaymentStatus.PAID: frozenset({PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED, PaymentStatus.DISPUTED}),
    PaymentStatus.PARTIALLY_REFUNDED: frozenset(
        {PaymentStatus.REFUNDED, PaymentStatus.DISPUTED, PaymentStatus.PAID, PaymentStatus.PARTIALLY_PAID}
    ),
    PaymentStatus.REFUNDED: frozenset({PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.PAID, PaymentStatus.PARTIALLY_PAID}),
    PaymentStatus.VOIDED: frozenset(),
    PaymentStatus.DISPUTED: frozenset({PaymentStatus.PAID, PaymentStatus.REFUNDED}),
}


@dataclass(slots=True)
class Order:
    """Names, prices and addresses are copies, frozen when it is placed. `saga_id` is the saga at work on it, if one is."""

    id: str
    cart_id: str
    owner: Owner
    email: str | None
    shipping_address: Address
    lines: list[PricedLine]
    total: Money
    status: OrderStatus = OrderStatus.DRAFT
    payment_status: PaymentStatus = PaymentStatus.UNPAID
    fulfilment_status: FulfilmentStatus = FulfilmentStatus.UNFULFILLED
    rounding: str = ROUNDING
    number: str | None = None
    intent_id: str | None = None
    attempt: int = 1
    captured: int = 0
    refunded: int = 0
    saga_id: str | None = None
    version: int = 1
    placed_at: datetime | None = None
    history: list["Entry"] = field(default_factory=list)

    @classmethod
    def draft(cls, cart: Cart, lines: Sequence[PricedLine], address: Address, previous: "Order | None") -> "Order":
        """The agreement that a completion attempts; a cart's next attempt rewrites its draft, under the same id."""
        order = cls(
            id=previous.id if previous else new_id("ord"),
            cart_id=cart.id,
            owner=cart.owner,
            email=cart.email,
            shipping_address=address,
            lines=list(lines),
            total=sum_of(lines, cart.currency),
        )
        if previous is not None:
            if previous.status is not OrderStatus.DRAFT:
                raise IllegalTransition("the cart has become an order already")
            if previous.attempt >= MAX_ATTEMPTS:
                raise AttemptsUsedUp(f"{MAX_ATTEMPTS} attempts have failed")
            order.attempt, order.version = previous.attempt + 1, previous.version + 1
        order._note("completion_started", attempt=order.attempt)
        return order

    @property
    def attempt_key(self) -> str:
        """Names this attempt's stock hold and authorisation."""
        return f"{self.id}:{self.attempt}"

    def place(self, number: str, intent_id: str | None, now: datetime) -> None:
        """`intent_id` is of the payment that was authorised; an order that is worth nothing has none."""
        self._move(OrderStatus.PLACED)
        self._move_payment(PaymentStatus.AUTHORIZED)
        self.number, self.intent_id, self.placed_at = number, intent_id, now
        self._note("placed", number=number)

    def fail_attempt(self, code: str) -> None:
        """The draft stays for another attempt."""
        if self.status is not OrderStatus.DRAFT:
            raise IllegalTransition("only a draft's completion can fail")
        self.saga_id = None
        self.version += 1
        self._note("completion_failed", code=code)

    def record_capture(self, captured: int) -> bool:
        """`captured` is the sum of all captures so far, in minor units; True when this made the order paid, also with nothing."""
        paid = captured >= self.total.amount
        if captured <= self.captured and not (paid and self.payment_status is PaymentStatus.AUTHORIZED):
            return False
        self._move_payment(PaymentStatus.PAID if paid else PaymentStatus.PARTIALLY_PAID)
        self.captured, self.version = captured, self.version + 1
        self._note("captured", amount=captured)
        return paid

    def cancel(self, reason: str) -> None:
        """Call it off. Refused while another saga is at work on it, and once goods have left."""
        if self.saga_id is not None:
            raise CompletionInProgress("the order is being worked on")
        if self.fulfilment_status is not FulfilmentStatus.UNFULFILLED:
            raise IllegalTransition("goods have left: make it a return")
        self._move(OrderStatus.CANCELLED)
        self.version += 1
        self._note("cancelled", reason=reason)

    def record_void(self) -> None:
        self._move_payment(PaymentStatus.VOIDED)
        self.version += 1
        self._note("voided")

    def record_refund(self, refunded: int) -> bool:
        """`refunded` is the sum of all refunds so far, in minor units; False when that was known already."""
        if refunded <= self.refunded:
            return False
        self._refund(refunded)
        self._note("refunded", amount=refunded)
        return True

    def record_failed_refund(self, refunded: int, failure: str) -> None:
        """A refund was refused, or had succeeded and came back; `refunded` is the sum of those that stand."""
        self._refund(refunded)
        self._note("refund_failed", failure=failure)

    def end_saga(self) -> None:
        self.saga_id = None

    def _refund(self, refunded: int) -> None:
        if refunded:
            target = PaymentStatus.REFUNDED if refunded >= self.captured else PaymentStatus.PARTIALLY_REFUNDED
        else:
            target = PaymentStatus.PAID if self.captured >= self.total.amount else PaymentStatus.PARTIALLY_PAID
        if target is not self.payment_status:
            self._move_payment(target)
        self.refunded, self.version = refunded, self.version + 1

    def _move(self, to: OrderStatus) -> None:
        if to not in ORDER_TRANSITIONS[self.status]:
            raise IllegalTransition(f"an order that is {self.status} cannot become {to}")
        self.status = to

    def _move_payment(self, to: PaymentStatus) -> None:
        if to is self.payment_status is PaymentStatus.PARTIALLY_PAID:
            return
        if to not in PAYMENT_TRANSITIONS[self.payment_status]:
            raise IllegalTransition(f"a payment that is {self.payment_status} cannot become {to}")
        self.payment_status = to

    def _note(self, kind: str, **facts: str | int) -> None:
        self.history.append(Entry(kind, dict(facts)))


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline, not yet stored: the database gives it its time."""

    kind: str
    facts: dict[str, str | int]
