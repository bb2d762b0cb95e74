"""Rows to carts and orders, and back: the one place that knows how they lie in tables."""

from collections.abc import Iterable
from typing import Any

import msgspec

from modules.orders.domain.cart import Address, Cart, CartStatus, Item
from modules.orders.domain.order import FulfilmentStatus, Order, OrderStatus, PaymentStatus
from modules.orders.domain.owner import Owner
from modules.orders.domain.totals import PricedLine
from shared.domain.money import Money

Row = Iterable[Any]

CART_COLUMNS = """
    c.id, c.user_id, c.token_hash, c.currency, c.email, c.shipping_address, c.status, c.order_id, c.version,
    coalesce((select json_agg(json_build_array(i.id, i.variant_id, i.quantity) order by i.id)
              from cart_item i where i.cart_id = c.id), '[]')
"""
CART_WIDTH = 10
CART = f"select {CART_COLUMNS} from cart c"  # noqa: S608 - columns of ours, here and below
ORDER_COLUMNS = """
    o.id, o.number, o.cart_id, o.user_id, o.token_hash, o.email, o.shipping_address, o.currency, o.rounding, o.total,
    o.captured, o.refunded, o.status, o.payment_status, o.fulfilment_status, o.intent_id, o.attempt, o.saga_id, o.version, o.placed_at,
    (select json_agg(json_build_array(l.variant_id, l.product_id, l.sku, l.title, l.quantity, l.unit_price, l.total) order by l.position)
     from order_line l where l.order_id = o.id)
"""
ORDER = f"select {ORDER_COLUMNS} from customer_order o"  # noqa: S608 - as above


def cart(row: Row) -> Cart:
    """Of a row that begins with CART_COLUMNS."""
    id, user_id, token_hash, currency, email, address, status, order_id, version, items, *_ = row
    return Cart(
        id=id,
        owner=Owner(user_id, token_hash),
        currency=currency,
        email=email,
        shipping_address=None if address is None else _address(address),
        status=CartStatus(status),
        order_id=order_id,
        version=version,
        items=[Item(*item) for item in msgspec.json.decode(items)],
    )


def order(row: Row) -> Order:
    """Of a row that begins with ORDER_COLUMNS."""
    (id, number, cart_id, user_id, token_hash, email, address, currency, rounding, total, captured, refunded, status, payment_status,
     fulfilment_status, intent_id, attempt, saga_id, version, placed_at, lines, *_) = row  # fmt: skip
    return Order(
        id=id,
        number=number,
        cart_id=cart_id,
        owner=Owner(user_id, token_hash),
        email=email,
        shipping_address=_address(address),
        rounding=rounding,
        total=Money(total, currency),
        captured=captured,
        refunded=refunded,
        status=OrderStatus(status),
        payment_status=PaymentStatus(payment_status),
        fulfilment_status=FulfilmentStatus(fulfilment_status),
        intent_id=intent_id,
        attempt=attempt,
        saga_id=saga_id,
        version=version,
        placed_at=placed_at,
        lines=[_line(line, currency) for line in msgspec.json.decode(lines)],
    )


def json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def lines_json(order: Order) -> str:
    return json(
        [
            {
                "position": position,
                "variant_id": line.variant_id,
                "product_id": line.product_id,
                "sku": line.sku,
                "title": line.title,
                "quantity": line.quantity,
                "unit_price": line.unit_price.amount,
                "total": line.total.amount,
            }
            for position, line in enumerate(order.lines)
        ]
    )


def take_entries(order: Order) -> str:
    """The new lines of the timeline, taken off the order: they are written once."""
    entries = json([{"kind": entry.kind, "facts": entry.facts} for entry in order.history])
    order.history.clear()
    return entries


def _address(text: str) -> Address:
    return msgspec.json.decode(text, type=Address)


def _line(values: list[Any], currency: str) -> PricedLine:
    variant_id, product_id, sku, title, quantity, unit_price, total = values
    return PricedLine(variant_id, product_id, sku, title, quantity, Money(unit_price, currency), Money(total, currency))
