"""What is read of carts and orders, and the queries that answer it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from modules.orders.domain.cart import Address, Cart, Requirement
from modules.orders.domain.order import Order
from modules.orders.domain.owner import Owner
from modules.orders.domain.totals import PricedLine, sum_of
from modules.orders.public import OrderSummary
from shared.domain.money import Money
from shared.domain.page import PageRequest, Slice
from shared.domain.saga import Failure


class CartItemView(msgspec.Struct, frozen=True, kw_only=True):
    """`unit_price` and `total` are absent while the item cannot be sold."""

    id: str
    variant_id: str
    quantity: int
    sku: str | None = None
    title: str | None = None
    unit_price: Money | None = None
    total: Money | None = None


class CartView(msgspec.Struct, frozen=True, kw_only=True):
    """A cart at the prices of this moment, and what still blocks its completion."""

    id: str
    version: int
    status: str
    currency: str
    email: str | None
    shipping_address: Address | None
    items: list[CartItemView]
    total: Money
    requirements: list[Requirement]
    order_id: str | None


class NewCartView(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh cart; `token` opens a guest's cart and is shown this once."""

    cart: CartView
    token: str | None


class OrderLineView(msgspec.Struct, frozen=True, kw_only=True):
    variant_id: str
    product_id: str
    sku: str
    title: str
    quantity: int
    unit_price: Money
    total: Money


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it was agreed, and where it stands on its three axes."""

    id: str
    version: int
    number: str
    cart_id: str
    status: str
    payment_status: str
    fulfilment_status: str
    email: str | None
    shipping_address: Address
    lines: list[OrderLineView]
    total: Money
    payment_intent_id: str | None
    placed_at: datetime


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order in a list."""

    id: str
    number: str
    status: str
    payment_status: str
    fulfilment_status: str
    total: Money
    placed_at: datetime


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to an order."""

    at: datetime
    kind: str
    facts: dict[str, Any]


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """How completing a cart ended: with the order, or with the refusal after everything was given back."""

    order: OrderView | None = None
    failure: Failure | None = None


class StillRunning(msgspec.Struct, frozen=True, kw_only=True):
    """It goes on in the background. `status` is running, or requires_action: the customer must act at `action_url` first."""

    operation_id: str
    status: str
    action_url: str | None = None


class OrderQueries(Protocol):
    async def cart(self, cart_id: str, owner: Owner) -> Cart | None: ...

    async def order(self, order_id: str, owner: Owner | None) -> OrderView | None:
        """`owner` None sees every order; drafts are seen by nobody."""
        ...

    async def orders(self, owner: Owner | None, status: str | None, page: PageRequest) -> Slice[OrderRow]: ...

    async def timeline(self, order_id: str, owner: Owner | None, page: PageRequest) -> Slice[TimelineEntry]:
        """The oldest first; nothing at all for an order that `owner` does not see, since every order has a beginning."""
        ...

    async def summaries(self, order_ids: Sequence[str]) -> list[OrderSummary]: ...


def cart_view(cart: Cart, lines: list[PricedLine | None]) -> CartView:
    items = []
    for item, line in zip(cart.items, lines, strict=True):
        shown = CartItemView(id=item.id, variant_id=item.variant_id, quantity=item.quantity)
        if line is not None:
            shown = msgspec.structs.replace(shown, sku=line.sku, title=line.title, unit_price=line.unit_price, total=line.total)
        items.append(shown)
    return CartView(
        id=cart.id,
        version=cart.version,
        status=cart.status,
        currency=cart.currency,
        email=cart.email,
        shipping_address=cart.shipping_address,
        items=items,
        total=sum_of([line for line in lines if line is not None], cart.currency),
        requirements=cart.requirements(lines),
        order_id=cart.order_id,
    )


def order_view(order: Order) -> OrderView:
    """The view of a placed order."""
    if order.number is None or order.placed_at is None:
        raise ValueError("a draft is not shown")
    return OrderView(
        id=order.id,
        version=order.version,
        number=order.number,
        cart_id=order.cart_id,
        status=order.status,
        payment_status=order.payment_status,
        fulfilment_status=order.fulfilment_status,
        email=order.email,
        shipping_address=order.shipping_address,
        lines=[
            OrderLineView(
                variant_id=line.variant_id,
                product_id=line.product_id,
                sku=line.sku,
                title=line.title,
                quantity=line.quantity,
                unit_price=line.unit_price,
                total=line.total,
            )
            for line in order.lines
        ],
        total=order.total,
        payment_intent_id=order.intent_id,
        placed_at=order.placed_at,
    )
