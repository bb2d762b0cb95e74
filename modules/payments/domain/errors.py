"""Refusals of payments that only its own API shows."""

from shared.domain.errors import Conflict, RuleViolated, Unauthenticated


class IllegalPaymentTransition(Conflict):
    """The payment's or refund's state does not allow this step."""

    code = "illegal_payment_transition"
    title = "The payment does not allow this now"


class CaptureTooLarge(RuleViolated):
    """Captures may not exceed what was authorised; the fact `capturable` is what is left."""

    code = "capture_exceeds_authorization"
    title = "More than is authorised"


class RefundTooLarge(RuleViolated):
    """Refunds may not exceed what was captured; the fact `refundable` is what is left."""

    code = "refund_exceeds_captured"
    title = "More than was captured"


class AmountNotPositive(RuleViolated):
    """Only positive amounts can be taken or given back."""

    code = "amount_not_positive"
    title = "The amount must be positive"


class SignatureInvalid(Unauthenticated):
    """The webhook's signature does not match its body, or its time is too far off."""

    code = "webhook_signature_invalid"
    title = "The webhook's signature is not valid"
