"""Orders, in our words."""

from modules.notifications.domain.ports import Order, OrderLine
from modules.orders.public import Orders


class OrdersAdapter:
    """Implements OrderBook."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    async def order(self, order_id: str) -> Order | None:
        for summary in await self._orders.summaries([order_id]):
            lines = [OrderLine(title=line.title, sku=line.sku, quantity=line.quantity, total=line.total) for line in summary.lines]
            return Order(
                id=summary.order_id,
                number=summary.number,
                user_id=summary.user_id,
                guest_email=summary.guest_email,
                lines=lines,
                total=summary.total,
            )
        return None
