"""The reads of carts and orders: each one statement, straight to its Struct."""

from collections.abc import Sequence
from typing import Any

import msgspec
from asyncpg import Record

from modules.orders.domain.cart import Cart
from modules.orders.domain.order import OrderStatus
from modules.orders.domain.owner import Owner
from modules.orders.domain.views import OrderRow, OrderView, TimelineEntry, order_view
from modules.orders.infra import rows
from modules.orders.public import OrderSummary, SummaryLine
from shared.domain.money import Money
from shared.domain.page import MAX_LIMIT, PageRequest, Slice, cut
from shared.infra.db.database import Database

CART = f"{rows.CART} where c.id = $1 and (c.user_id = $2 or c.token_hash = $3)"

ORDER = f"{rows.ORDER} where o.id = $1 and o.status <> 'draft' and ($2 or o.user_id = $3 or o.token_hash = $4)"
SUMMARIES = f"{rows.ORDER} where o.id = any($1) and o.status <> 'draft'"

# A walk for each status, in the order of its index and within exactly one range of it: the keys are compared together, so that no
# guess at how many orders are of a status or a user leads to walking everybody's orders and throwing most of them away.
LIST = """
    select one.* from unnest($1::text[]) as s (status) cross join lateral (
        select o.id, o.number, o.status, o.payment_status, o.fulfilment_status, o.total, o.currency, o.placed_at
        from customer_order o
        where o.status <> 'draft' and {within}
        order by {order} limit {most}
    ) one
    order by one.id desc limit $3
"""
# served by customer_order_by_status
LIST_ALL = LIST.format(
    within="o.status >= s.status and (o.status, o.id) < (s.status, $2)", order="o.status desc, o.id desc", most=MAX_LIMIT + 1
)
# served by customer_order_of_user_by_status
LIST_OWN = LIST.format(
    within="(o.user_id, o.status) >= ($4, s.status) and (o.user_id, o.status, o.id) < ($4, s.status, $2)",
    order="o.user_id desc, o.status desc, o.id desc",
    most=MAX_LIMIT + 1,
)
LISTED = [status.value for status in OrderStatus if status is not OrderStatus.DRAFT]

# served by order_entry_by_order
TIMELINE = """
    select e.id, e.at, e.kind, e.facts
    from order_entry e
    where e.order_id <= $1 and (e.order_id, e.id) > ($1, $2) and exists (
        select from customer_order o where o.id = $1 and o.status <> 'draft' and ($4 or o.user_id = $5 or o.token_hash = $6))
    order by e.order_id, e.id limit $3
"""


_facts = msgspec.json.Decoder(dict[str, Any])


class SqlOrderQueries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def cart(self, cart_id: str, owner: Owner) -> Cart | None:
        row = await self._database.fetchrow(CART, cart_id, owner.user_id, owner.token_hash)
        return None if row is None else rows.cart(row)

    async def order(self, order_id: str, owner: Owner | None) -> OrderView | None:
        row = await self._database.fetchrow(ORDER, order_id, *_seen_by(owner))
        return None if row is None else order_view(rows.order(row))

    async def orders(self, owner: Owner | None, status: str | None, page: PageRequest) -> Slice[OrderRow]:
        statuses = LISTED if status is None else [status]
        if owner is None:
            found = await self._database.fetch(LIST_ALL, statuses, page.before, page.limit + 1)
        else:
            found = await self._database.fetch(LIST_OWN, statuses, page.before, page.limit + 1, owner.user_id)
        return cut([_row(record) for record in found], page, lambda row: (row.id,))

    async def timeline(self, order_id: str, owner: Owner | None, page: PageRequest) -> Slice[TimelineEntry]:
        after = page.after[0] if page.after else 0
        found = cut(
            await self._database.fetch(TIMELINE, order_id, after, page.limit + 1, *_seen_by(owner)), page, lambda record: (record[0],)
        )
        return Slice([TimelineEntry(at=at, kind=kind, facts=_facts.decode(facts)) for _, at, kind, facts in found.items], found.next)

    async def summaries(self, order_ids: Sequence[str]) -> list[OrderSummary]:
        found = await self._database.fetch(SUMMARIES, list(order_ids))
        return [_summary(order_view(rows.order(record)), record["user_id"]) for record in found]


def _seen_by(owner: Owner | None) -> tuple[bool, str | None, str | None]:
    return (True, None, None) if owner is None else (False, owner.user_id, owner.token_hash)


def _row(record: Record) -> OrderRow:
    id, number, status, payment, fulfilment, total, currency, placed_at = record
    return OrderRow(
        id=id,
        number=number,
        status=status,
        payment_status=payment,
        fulfilment_status=fulfilment,
        total=Money(total, currency),
        placed_at=placed_at,
    )


def _summary(order: OrderView, user_id: str | None) -> OrderSummary:
    return OrderSummary(
        order_id=order.id,
        number=order.number,
        user_id=user_id,
        guest_email=None if user_id else order.email,
        lines=[
            SummaryLine(title=line.title, sku=line.sku, quantity=line.quantity, unit_price=line.unit_price, total=line.total)
            for line in order.lines
        ],
        total=order.total,
        placed_at=order.placed_at,
    )
