"""Request bodies of payments."""

from typing import Annotated

import msgspec
from msgspec import Meta

from shared.api.types import Id, Line, Money

Reference = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9._:-]{0,99}\Z",
        max_length=100,
        description="What the payment is for: an id such as an order's, no words, because events carry it",
        examples=["ord_0199f3a27c5e7d10b4c8a1f2e3d4c5b6"],
    ),
]
PaymentMethod = Annotated[
    str,
    Meta(
        pattern=r"\Apm_[a-z0-9_]{1,60}\Z",
        max_length=64,
        description="A token of the provider, never a card number",
        examples=["pm_card_ok"],
    ),
]


class CreateIntent(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    reference: Reference
    amount: Money


class ConfirmIntent(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    payment_method: PaymentMethod


class CaptureIntent(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Without an amount, all that is authorised and not yet captured."""

    amount: Money | None = None


class CreateRefund(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    payment_intent: Id
    amount: Money
    reason: Line


class CompleteChallenge(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the customer answers the card's issuer."""

    approve: bool = True
