"""The money, in our words."""

from modules.orders.domain import ports
from modules.payments.public import CaptureRefused, Payments, PaymentVoided
from shared.domain.money import Money


class PaymentsAdapter:
    def __init__(self, payments: Payments) -> None:
        self._payments = payments

    async def authorize(self, key: str, order_id: str, amount: Money, payment_method: str) -> ports.Authorization:
        answer = await self._payments.authorize(key, order_id, amount, payment_method)
        return ports.Authorization(
            intent_id=answer.intent_id, status=answer.status, decline_code=answer.decline_code, action_url=answer.action_url
        )

    async def capture(self, key: str, intent_id: str) -> int:
        """A payment that somebody behind the counter has called off is refused, too: no retry will capture it."""
        try:
            return await self._payments.capture_rest(key, intent_id)
        except (CaptureRefused, PaymentVoided) as refused:
            raise ports.CaptureRefused from refused

    async def call_off(self, key: str, order_id: str, reason: str) -> int:
        return await self._payments.cancel(key, order_id, reason)
