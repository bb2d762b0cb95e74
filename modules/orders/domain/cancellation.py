"""Cancelling an order: the money goes back, then the stock. Decided in one transaction; from there only forward."""

from typing import Final

import msgspec

from modules.orders.domain.order import Order, PaymentStatus
from modules.orders.domain.ports import Payment, Stock, Work
from modules.orders.domain.views import OrderView, order_view
from shared.domain.saga import Call, Failure, Remote, Saga

CANCEL_ORDER: Final = "orders.cancel_order"


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """`captured`, in minor units, is what calling the payment off found to give back."""

    order_id: str
    attempt_key: str
    reason: str
    captured: int = 0

    @classmethod
    def of(cls, order: Order, reason: str) -> "CancelOrder":
        return cls(order_id=order.id, attempt_key=order.attempt_key, reason=reason)


class CancellationSteps:
    """The steps' functions, with the neighbours that they ask."""

    def __init__(self, stock: Stock, payment: Payment) -> None:
        self._stock = stock
        self._payment = payment

    def saga(self) -> Saga[Work, CancelOrder]:
        return Saga(
            name=CANCEL_ORDER,
            version=1,
            state=CancelOrder,
            steps=[
                Remote("return_money", self._return_money),
                Remote("return_stock", self._return_stock),
            ],
            finish=self._finish,
            pivoted=True,
            result="/v1/orders/{key}",
        )

    async def _return_money(self, state: CancelOrder, call: Call) -> CancelOrder:
        captured = await self._payment.call_off(state.attempt_key, state.order_id, state.reason)
        return msgspec.structs.replace(state, captured=captured)

    async def _return_stock(self, state: CancelOrder, call: Call) -> CancelOrder:
        await self._stock.give_back(state.attempt_key)
        return state

    async def _finish(self, work: Work, state: CancelOrder, failure: Failure | None) -> OrderView:
        """That money is back is only said when its provider has said so: see the events of payments."""
        order = await work.orders.lock(state.order_id)
        order.end_saga()
        if not state.captured and order.payment_status is PaymentStatus.AUTHORIZED:
            order.record_void()
        await work.orders.save(order)
        return order_view(order)
