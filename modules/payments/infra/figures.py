"""What of payments the business counts."""

from typing import Final

from modules.payments.public import PaymentAuthorized, PaymentCaptured, PaymentFailed, RefundFailed, RefundSucceeded
from shared.infra.metrics.figures import Figure

FIGURES: Final = (
    Figure("payments_authorized", "Amounts that the provider holds for us.", PaymentAuthorized, by="currency"),
    Figure("payments_captured", "Amounts that were taken.", PaymentCaptured, by="currency"),
    Figure("payments_declined", "Refusals of the provider, for good, to authorise or to capture.", PaymentFailed, by="operation"),
    Figure("refunds_succeeded", "Amounts that went back.", RefundSucceeded, by="currency"),
    Figure("refunds_failed", "Amounts that the provider did not give back.", RefundFailed, by="currency"),
)
