"""Refusals of payments that only its own API shows."""

from shared.domain.errors import RuleViolated, Unauthenticated


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
