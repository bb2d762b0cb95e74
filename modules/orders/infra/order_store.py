"""Orders in Postgres: locked by row, the timeline appended in the statement that saves."""

from datetime import datetime

from modules.orders.domain.order import Order
from modules.orders.domain.owner import Owner
from modules.orders.infra import rows
from shared.domain.errors import NotFound
from shared.infra.db.unit_of_work import UnitOfWork

LOCK = f"{rows.ORDER} where o.id = $1 for update"
LOCK_OWNED = f"{rows.ORDER} where o.id = $1 and (o.user_id = $2 or o.token_hash = $3) and o.status <> 'draft' for update"
LOCK_OF_CART = f"{rows.ORDER} where o.cart_id = $1 for update"
NEXT_NUMBER = "select nextval('order_number')::text, now()"

PUT_DRAFT = """
    with draft as (
        insert into customer_order (id, cart_id, user_id, token_hash, email, shipping_address, currency, rounding, total, status,
                                    payment_status, fulfilment_status, attempt, saga_id, version)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'draft', 'unpaid', 'unfulfilled', $10, $11, $12)
        on conflict on constraint customer_order_pk do update
        set user_id = excluded.user_id, token_hash = excluded.token_hash, email = excluded.email,
            shipping_address = excluded.shipping_address, total = excluded.total, attempt = excluded.attempt,
            saga_id = excluded.saga_id, version = excluded.version
        where customer_order.status = 'draft'
        returning id
    ), entry as (
        insert into order_entry (order_id, kind, facts)
        select draft.id, e.kind, e.facts from draft, jsonb_to_recordset($13) as e(kind text, facts jsonb)
    )
    insert into order_line (order_id, position, variant_id, product_id, sku, title, quantity, unit_price, total)
    select draft.id, l.position, l.variant_id, l.product_id, l.sku, l.title, l.quantity, l.unit_price, l.total
    from draft, jsonb_to_recordset($14) as l(position int, variant_id text, product_id text, sku text, title text, quantity int,
                                             unit_price bigint, total bigint)
"""
CLEAR_LINES = "delete from order_line where order_id = $1"

SAVE = """
    with saved as (
        update customer_order
        set number = $2, captured = $3, refunded = $4, status = $5, payment_status = $6, fulfilment_status = $7, intent_id = $8,
            saga_id = $9, version = $10, placed_at = $11
        where id = $1
        returning id
    )
    insert into order_entry (order_id, kind, facts)
    select saved.id, e.kind, e.facts from saved, jsonb_to_recordset($12) as e(kind text, facts jsonb)
"""


class SqlOrders:
    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def lock(self, order_id: str, owner: Owner | None = None) -> Order:
        if owner is None:
            row = await self._uow.fetchrow(LOCK, order_id)
        else:
            row = await self._uow.fetchrow(LOCK_OWNED, order_id, owner.user_id, owner.token_hash)
        if row is None:
            raise NotFound("there is no such order")
        return rows.order(row)

    async def of_cart(self, cart_id: str) -> Order | None:
        row = await self._uow.fetchrow(LOCK_OF_CART, cart_id)
        return None if row is None else rows.order(row)

    async def put_draft(self, order: Order) -> None:
        if order.attempt > 1:
            await self._uow.execute(CLEAR_LINES, order.id)
        owner = order.owner
        await self._uow.execute(
            PUT_DRAFT,
            order.id, order.cart_id, owner.user_id, owner.token_hash, order.email, rows.json(order.shipping_address),
            order.total.currency, order.rounding, order.total.amount, order.attempt, order.saga_id, order.version,
            _entries(order), rows.lines_json(order),
        )  # fmt: skip

    async def save(self, order: Order) -> None:
        await self._uow.execute(
            SAVE,
            order.id, order.number, order.captured, order.refunded, order.status.value, order.payment_status.value,
            order.fulfilment_status.value, order.intent_id, order.saga_id, order.version, order.placed_at, _entries(order),
        )  # fmt: skip

    async def next_number(self) -> tuple[str, datetime]:
        [(number, now)] = await self._uow.fetch(NEXT_NUMBER)
        return number, now


def _entries(order: Order) -> str:
    """The new lines of the timeline, taken off the order: they are written once."""
    entries = rows.entries_json(order)
    order.history.clear()
    return entries
