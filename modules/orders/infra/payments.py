"""The money, in our words."""

from modules.orders.domain import ports
from modules.payments.public import CaptureRefused, Payments
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

    async def void(self, key: str, order_id: str) -> None:
        await self._payments.cancel(key, order_id)

    async def refund(self, key: str, intent_id: str, amount: Money, reason: str) -> None:
        await self._payments.refund(key, intent_id, amount, reason)
