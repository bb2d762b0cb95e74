"""The money, in our words."""

from modules.orders.domain import ports
from modules.payments.public import CaptureRefused, Payments, PaymentVoided
from shared.domain.errors import Conflict
from shared.domain.money import Money


class PaymentsAdapter:
    def __init__(self, payments: Payments) -> None:
        self._payments = payments

    async def authorize(self, key: str, order_id: str, amount: Money, payment_method: str) -> ports.Authorization:
        answer = await self._payments.authorize(key, order_id, amount, payment_method)
        return ports.Authorization(
            intent_id=answer.intent_id, status=answer.status, decline_code=answer.decline_code, action_url=answer.action_url
        )

    async def capture(self, key: str, intent_id: str, amount: Money) -> None:
        try:
            await self._payments.capture(key, intent_id, amount)
        except CaptureRefused as refused:
            raise ports.CaptureRefused from refused
        except Conflict:
            await self._refuse_what_was_called_off(intent_id)
            raise

    async def _refuse_what_was_called_off(self, intent_id: str) -> None:
        """Somebody behind the counter has cancelled the payment: no retry will capture it."""
        try:
            await self._payments.status(intent_id)
        except PaymentVoided as voided:
            raise ports.CaptureRefused from voided

    async def void(self, key: str, order_id: str) -> None:
        await self._payments.cancel(key, order_id)

    async def give_back(self, key: str, intent_id: str, reason: str) -> None:
        await self._payments.refund_rest(key, intent_id, reason)
