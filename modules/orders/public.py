"""What others may know of orders: events, the summary of an order, and the facade."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Literal, Protocol

import msgspec

from shared.domain.events import Event
from shared.domain.money import Money


class OrderPlaced(Event, frozen=True, kw_only=True):
    """An order is agreed: stock is allocated and the payment authorised."""

    event_type: ClassVar[str] = "orders.order_placed"
    event_key: ClassVar[str] = "order_id"
    order_id: str
    cart_id: str
    amount: int
    currency: str


class OrderPaid(Event, frozen=True, kw_only=True):
    """The whole amount of an order has been captured."""

    event_type: ClassVar[str] = "orders.order_paid"
    event_key: ClassVar[str] = "order_id"
    order_id: str
    amount: int
    currency: str


class OrderCancelled(Event, frozen=True, kw_only=True):
    """An order was called off; its money and its stock go back. What its customer said about it stays in its timeline."""

    event_type: ClassVar[str] = "orders.order_cancelled"
    event_key: ClassVar[str] = "order_id"
    order_id: str
    cause: Literal["requested", "payment_refused"]


class SummaryLine(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    sku: str
    quantity: int
    unit_price: Money
    total: Money


class OrderSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail about an order needs. A guest's order has `guest_email` instead of `user_id`."""

    order_id: str
    number: str
    user_id: str | None
    guest_email: str | None
    lines: list[SummaryLine]
    total: Money
    placed_at: datetime


class Orders(Protocol):
    async def summaries(self, order_ids: Sequence[str]) -> list[OrderSummary]:
        """The placed orders among these, in no particular order; drafts and unknown ids are absent."""
        ...


PUBLISHES: tuple[type[Event], ...] = (OrderPlaced, OrderPaid, OrderCancelled)
