"""What others may know of payments: events, the answer of an authorisation, the refusals and the facade."""

from typing import ClassVar, Literal, Protocol

import msgspec

from shared.domain.errors import Conflict, Unavailable
from shared.domain.events import Event
from shared.domain.money import Money


class _OfIntent(Event, frozen=True, kw_only=True):
    """`reference` is what the payment is for, in its caller's words; `amount` is in minor units."""

    event_key: ClassVar[str] = "intent_id"
    intent_id: str
    reference: str
    amount: int
    currency: str


class PaymentAuthorized(_OfIntent, frozen=True, kw_only=True):
    """The provider holds the amount for us."""

    event_type: ClassVar[str] = "payments.payment_authorized"


class PaymentCaptured(_OfIntent, frozen=True, kw_only=True):
    """`amount` has been taken; `captured` is the sum of the intent's captures so far, which may be several."""

    event_type: ClassVar[str] = "payments.payment_captured"
    captured: int


class PaymentFailed(_OfIntent, frozen=True, kw_only=True):
    """The provider refused for good to authorise or to capture `amount`; `failure` is its code."""

    event_type: ClassVar[str] = "payments.payment_failed"
    operation: str
    failure: str


class PaymentRequiresAction(_OfIntent, frozen=True, kw_only=True):
    """The customer has to confirm the payment with the card's issuer (3-D Secure)."""

    event_type: ClassVar[str] = "payments.payment_requires_action"


class PaymentCancelled(_OfIntent, frozen=True, kw_only=True):
    """`amount`, what had been authorised and not captured, will not be taken any more."""

    event_type: ClassVar[str] = "payments.payment_cancelled"


class RefundSucceeded(_OfIntent, frozen=True, kw_only=True):
    """`amount` is on its way back to the customer; `refunded` is the sum of the intent's refunds so far."""

    event_type: ClassVar[str] = "payments.refund_succeeded"
    refund_id: str
    refunded: int


class RefundFailed(_OfIntent, frozen=True, kw_only=True):
    """The provider did not give `amount` back, or it came back later; it may be refunded again."""

    event_type: ClassVar[str] = "payments.refund_failed"
    refund_id: str
    refunded: int
    failure: str


PUBLISHES: tuple[type[Event], ...] = (
    PaymentAuthorized, PaymentCaptured, PaymentFailed, PaymentRequiresAction, PaymentCancelled, RefundSucceeded, RefundFailed,
)  # fmt: skip


class PaymentPending(Unavailable):
    """The provider has not said yet how the payment ended; the same call with the same key asks it."""

    code = "payment_pending"
    title = "The payment is not decided yet"


class PaymentVoided(Conflict):
    """The payment was called off: a cancellation wins over an authorisation that arrives after it."""

    code = "payment_voided"
    title = "The payment was called off"


class CaptureRefused(Conflict):
    """The provider refuses for good to capture; the fact `failure` is its code."""

    code = "capture_refused"
    title = "The capture was refused"


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """How an authorisation stands. `action_url` is where the customer confirms when that is required."""

    intent_id: str
    status: Literal["authorized", "declined", "requires_action"]
    decline_code: str | None = None
    action_url: str | None = None


class Payments(Protocol):
    """Every command is idempotent by `key`: a repeat answers what the first one did, and has no second effect."""

    async def authorize(self, key: str, reference: str, amount: Money, payment_method: str) -> Authorization:
        """Ask the provider to hold `amount`.

        Raises PaymentPending while the outcome is unknown, PaymentVoided after `cancel` of this key.
        """
        ...

    async def capture(self, key: str, intent_id: str, amount: Money) -> None:
        """Take `amount` of what is authorised. Raises CaptureRefused when that is final, PaymentPending when it is to be repeated."""
        ...

    async def capture_rest(self, key: str, intent_id: str) -> int:
        """Take all that is authorised and not captured: nothing, where others have taken it. Answers the sum of the intent's
        captures, in minor units. Raises as `capture` does, and PaymentVoided when the payment was called off."""
        ...

    async def cancel(self, key: str, reference: str, reason: str) -> int:
        """Call off the payment made, or still to arrive, with this `key` (the one given to `authorize`): what is not captured is
        given up, what was captured and is neither back nor on its way is given back. Answers the sum of its captures, in minor
        units; the end of a refund is told as that of `refund`.

        It leaves a tombstone: an `authorize` of the key that comes later is refused. Other payments of the reference are not
        touched. Raises PaymentPending until the provider has confirmed, Conflict while a capture is under way.
        """
        ...

    async def refund(self, key: str, intent_id: str, amount: Money, reason: str) -> str:
        """Give `amount` back; answers the refund's id. Its end is told by refund_succeeded or refund_failed."""
        ...
