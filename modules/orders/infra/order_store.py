"""Orders in Postgres: locked by row, the timeline appended in the statement that saves."""

from modules.orders.domain.order import Order
from modules.orders.domain.owner import Owner
from modules.orders.infra import rows
from shared.domain.errors import NotFound
from shared.infra.db.unit_of_work import UnitOfWork

LOCK = f"{rows.ORDER} where o.id = $1 for update"
LOCK_OWNED = f"{rows.ORDER} where o.id = $1 and (o.user_id = $2 or o.token_hash = $3) and o.status <> 'draft' for update"

SAVED = """
    saved as (
        update customer_order
        set number = $2, captured = $3, refunded = $4, status = $5, payment_status = $6, fulfilment_status = $7, intent_id = $8,
            saga_id = $9, version = $10, placed_at = $11
        where id = $1
        returning id
    )
"""
ADD_ENTRIES = """
    insert into order_entry (order_id, kind, facts)
    select saved.id, e.kind, e.facts from saved, jsonb_to_recordset($12) as e(kind text, facts jsonb)
"""
SAVE = f"with {SAVED} {ADD_ENTRIES}"


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

    async def save(self, order: Order) -> None:
        await self._uow.write(SAVE, *saved(order))


def saved(order: Order) -> tuple[object, ...]:
    """The parameters of SAVED and ADD_ENTRIES."""
    return (
        order.id, order.number, order.captured, order.refunded, order.status.value, order.payment_status.value,
        order.fulfilment_status.value, order.intent_id, order.saga_id, order.version, order.placed_at, rows.take_entries(order),
    )  # fmt: skip
