"""The intent to take an amount: its state machine, and how much of it is authorised, captured and given back."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modules.payments.domain.errors import AmountNotPositive, CaptureTooLarge, RefundTooLarge
from shared.domain.errors import IllegalTransition, StaleVersion
from shared.domain.money import CurrencyMismatch, Money


class IntentStatus(StrEnum):
    CREATED = "created"
    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    DECLINED = "declined"
    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    CANCELLED = "cancelled"


class Step(StrEnum):
    CONFIRM = "confirm"
    CHALLENGE = "challenge"
    APPROVE = "approve"
    DECLINE = "decline"
    CAPTURE_PART = "capture a part of"
    CAPTURE_REST = "capture the rest of"
    REFUND = "refund"
    CANCEL = "cancel"


_S = IntentStatus
MOVES: Final[Mapping[tuple[IntentStatus, Step], IntentStatus]] = {
    (_S.CREATED, Step.CONFIRM): _S.PROCESSING,
    (_S.CREATED, Step.CANCEL): _S.CANCELLED,
    (_S.PROCESSING, Step.CHALLENGE): _S.REQUIRES_ACTION,
    (_S.PROCESSING, Step.APPROVE): _S.AUTHORIZED,
    (_S.PROCESSING, Step.DECLINE): _S.DECLINED,
    (_S.PROCESSING, Step.CANCEL): _S.CANCELLED,
    (_S.REQUIRES_ACTION, Step.APPROVE): _S.AUTHORIZED,
    (_S.REQUIRES_ACTION, Step.DECLINE): _S.DECLINED,
    (_S.REQUIRES_ACTION, Step.CANCEL): _S.CANCELLED,
    (_S.DECLINED, Step.CONFIRM): _S.PROCESSING,
    (_S.DECLINED, Step.CANCEL): _S.CANCELLED,
    (_S.AUTHORIZED, Step.CAPTURE_PART): _S.PARTIALLY_CAPTURED,
    (_S.AUTHORIZED, Step.CAPTURE_REST): _S.CAPTURED,
    (_S.AUTHORIZED, Step.CANCEL): _S.CANCELLED,
    (_S.PARTIALLY_CAPTURED, Step.CAPTURE_PART): _S.PARTIALLY_CAPTURED,
    (_S.PARTIALLY_CAPTURED, Step.CAPTURE_REST): _S.CAPTURED,
    (_S.PARTIALLY_CAPTURED, Step.REFUND): _S.PARTIALLY_CAPTURED,
    (_S.PARTIALLY_CAPTURED, Step.CANCEL): _S.CAPTURED,
    (_S.CAPTURED, Step.REFUND): _S.CAPTURED,
}
"""Every pair that is missing here is refused. Cancelling after a part was captured gives up the rest."""


@dataclass(slots=True)
class Intent:
    """Counters are minor units of `amount.currency`; `capturing` and `refunding` are under way at the provider.
    `authorization` is the attempt that authorised, or is about to."""

    id: str
    reference: str
    amount: Money
    status: IntentStatus = IntentStatus.CREATED
    authorization: str | None = None
    authorized: int = 0
    capturing: int = 0
    captured: int = 0
    refunding: int = 0
    refunded: int = 0
    decline_code: str | None = None
    action_url: str | None = None
    version: int = 1

    @property
    def capturable(self) -> int:
        return 0 if self.status is IntentStatus.CANCELLED else self.authorized - self.captured - self.capturing

    @property
    def refundable(self) -> int:
        return self.captured - self.refunded - self.refunding

    def expect_version(self, expected: int | None) -> None:
        if expected is not None and expected != self.version:
            raise StaleVersion(f"the payment intent is at version {self.version}")

    def confirm(self, authorization: str) -> None:
        """An attempt to authorise is about to be made."""
        self._move(Step.CONFIRM)
        self.authorization, self.decline_code, self.action_url = authorization, None, None

    def challenge(self, action_url: str | None) -> None:
        self._move(Step.CHALLENGE)
        self.action_url = action_url

    def approve(self) -> None:
        self._move(Step.APPROVE)
        self.authorized, self.action_url = self.amount.amount, None

    def decline(self, code: str) -> None:
        self._move(Step.DECLINE)
        self.decline_code, self.action_url = code, None

    def begin_capture(self, amount: Money) -> None:
        self._check(amount, Step.CAPTURE_PART)
        if amount.amount > self.capturable:
            raise CaptureTooLarge("captures may not exceed what was authorised", capturable=self._money(self.capturable))
        self.capturing += amount.amount
        self.version += 1

    def end_capture(self, amount: Money, *, taken: bool) -> None:
        self.capturing -= amount.amount
        if not taken:
            self.version += 1
            return
        self.captured += amount.amount
        self._move(Step.CAPTURE_REST if self.captured == self.authorized else Step.CAPTURE_PART)

    def begin_refund(self, amount: Money) -> None:
        self._check(amount, Step.REFUND)
        if amount.amount > self.refundable:
            raise RefundTooLarge("refunds may not exceed what was captured", refundable=self._money(self.refundable))
        self._move(Step.REFUND)
        self.refunding += amount.amount

    def end_refund(self, amount: Money, *, given: bool) -> None:
        self._move(Step.REFUND)
        self.refunding -= amount.amount
        if given:
            self.refunded += amount.amount

    def take_refund_back(self, amount: Money) -> None:
        """A refund that had succeeded came back."""
        self._move(Step.REFUND)
        self.refunded -= amount.amount

    def cancel(self) -> Money:
        """Give up what is not captured; answers how much of it was authorised."""
        if self.capturing:
            raise IllegalTransition("a capture is under way; cancel when it has ended")
        released = self._money(self.authorized - self.captured)
        self._move(Step.CANCEL)
        self.authorized, self.action_url = self.captured, None
        return released

    def _check(self, amount: Money, step: Step) -> None:
        if (self.status, step) not in MOVES:
            raise self._refusal(step)
        if amount.currency != self.amount.currency:
            raise CurrencyMismatch(f"this payment is in {self.amount.currency}")
        if amount.amount <= 0:
            raise AmountNotPositive("the amount must be positive")

    def _move(self, step: Step) -> None:
        try:
            self.status = MOVES[self.status, step]
        except KeyError:
            raise self._refusal(step) from None
        self.version += 1

    def _refusal(self, step: Step) -> IllegalTransition:
        return IllegalTransition(f"cannot {step} a payment that is {self.status}")

    def _money(self, amount: int) -> Money:
        return Money(amount, self.amount.currency)
