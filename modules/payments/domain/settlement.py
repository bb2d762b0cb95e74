"""How an attempt's outcome changes its payment, the books, and what the others hear: one function for every messenger."""

from dataclasses import dataclass, field
from typing import Any

from modules.payments.domain import ledger
from modules.payments.domain.attempt import Attempt, AttemptStatus, News, Operation, Outcome
from modules.payments.domain.intent import Intent, IntentStatus
from modules.payments.public import (
    PaymentAuthorized,
    PaymentCancelled,
    PaymentCaptured,
    PaymentFailed,
    PaymentRequiresAction,
    RefundFailed,
    RefundSucceeded,
)
from shared.domain.events import Event
from shared.domain.ids import new_id
from shared.domain.money import Money


@dataclass(slots=True)
class Effects:
    """What has to be written beside the payment and its attempt."""

    events: list[Event] = field(default_factory=list)
    bookings: list[ledger.Transaction] = field(default_factory=list)


def settle(intent: Intent, attempt: Attempt, outcome: Outcome) -> Effects | None:
    """Apply what the provider says; None when it was no news. Inline calls, webhooks and the reconciler all end here."""
    before = attempt.status
    if not attempt.hear(outcome):
        return None
    match attempt.operation:
        case Operation.AUTHORIZE:
            return _authorization(intent, attempt, outcome)
        case Operation.CAPTURE:
            return _capture(intent, attempt)
        case Operation.REFUND:
            return _refund(intent, attempt, booked=before is AttemptStatus.SUCCEEDED)
        case Operation.VOID:
            return Effects()


def cancel(intent: Intent) -> tuple[Attempt | None, Effects]:
    """Give up what is not captured: the attempt that tells the provider, where it may know of the payment, and the effects."""
    known_to_provider = intent.status not in (IntentStatus.CREATED, IntentStatus.DECLINED)
    released = intent.cancel()
    effects = Effects([PaymentCancelled(**_about(intent, released))])
    if not known_to_provider:
        return None, effects
    void = Attempt(new_id("att"), intent.id, Operation.VOID, released, key=intent.id)
    if released.amount:
        effects.bookings.append(ledger.released(void))
    return void, effects


def _authorization(intent: Intent, attempt: Attempt, outcome: Outcome) -> Effects:
    if intent.authorization != attempt.id or intent.status not in (IntentStatus.PROCESSING, IntentStatus.REQUIRES_ACTION):
        return Effects()  # called off meanwhile: the void that was then begun tells the provider
    if outcome.news is News.SUCCEEDED:
        intent.approve()
        return Effects([PaymentAuthorized(**_about(intent, attempt.amount))], [ledger.authorized(attempt)])
    if outcome.news is News.REFUSED:
        intent.decline(attempt.failure or "refused")
        return Effects([_failure(intent, attempt)])
    if outcome.news is News.REQUIRES_ACTION:
        intent.challenge(outcome.action_url)
        return Effects([PaymentRequiresAction(**_about(intent, attempt.amount))])
    return Effects()


def _capture(intent: Intent, attempt: Attempt) -> Effects:
    if attempt.open:
        return Effects()
    taken = attempt.status is AttemptStatus.SUCCEEDED
    intent.end_capture(attempt.amount, taken=taken)
    if not taken:
        return Effects([_failure(intent, attempt)])
    return Effects([PaymentCaptured(**_about(intent, attempt.amount), captured=intent.captured)], [ledger.captured(attempt)])


def _refund(intent: Intent, attempt: Attempt, *, booked: bool) -> Effects:
    if attempt.open:
        return Effects()
    given = attempt.status is AttemptStatus.SUCCEEDED
    if booked:
        intent.take_refund_back(attempt.amount)
    else:
        intent.end_refund(attempt.amount, given=given)
    about = {**_about(intent, attempt.amount), "refund_id": attempt.id, "refunded": intent.refunded}
    if given:
        return Effects([RefundSucceeded(**about)], [ledger.refunded(attempt)])
    failed = RefundFailed(**about, failure=attempt.failure or "refused")
    return Effects([failed], [ledger.refund_reversed(attempt)] if booked else [])


def _failure(intent: Intent, attempt: Attempt) -> PaymentFailed:
    return PaymentFailed(**_about(intent, attempt.amount), operation=attempt.operation, failure=attempt.failure or "refused")


def _about(intent: Intent, amount: Money) -> dict[str, Any]:
    """What every event of a payment says."""
    return {"intent_id": intent.id, "reference": intent.reference, "amount": amount.amount, "currency": amount.currency}
