"""A cart together with its order in Postgres: locked by one statement, written by one."""

from datetime import datetime

from modules.orders.domain.cart import Cart
from modules.orders.domain.order import Order
from modules.orders.domain.owner import Owner
from modules.orders.infra import cart_store, order_store, rows
from shared.domain.errors import NotFound
from shared.infra.db.statements import Row
from shared.infra.db.unit_of_work import UnitOfWork

# The order needs no lock of its own: whoever makes a draft, or another of it, holds the cart.
LOCK = f"""
    select {rows.CART_COLUMNS}, {rows.ORDER_COLUMNS}, {cart_store.FRESH}
    from cart c left join customer_order o on o.cart_id = c.id
    where c.id = $1 and {cart_store.OWNED} for update of c
"""  # noqa: S608 - columns and conditions of ours, here and below
LOCK_ATTEMPT = f"""
    select {rows.CART_COLUMNS}, {rows.ORDER_COLUMNS}
    from customer_order o join cart c on c.id = o.cart_id where o.id = $1 for update of c, o
"""  # noqa: S608 - as above
LOCK_TO_PLACE = f"""
    select nextval('order_number')::text, now(), {rows.CART_COLUMNS}, {rows.ORDER_COLUMNS}
    from customer_order o join cart c on c.id = o.cart_id where o.id = $1 for update of c, o
"""  # noqa: S608 - as above

CLEAR_LINES = "delete from order_line where order_id = $1"
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
    ), cart as (
        update cart set status = $15, order_id = $1, version = $16, updated_at = now() where id = $2
    )
    insert into order_line (order_id, position, variant_id, product_id, sku, title, quantity, unit_price, total)
    select draft.id, l.position, l.variant_id, l.product_id, l.sku, l.title, l.quantity, l.unit_price, l.total
    from draft, jsonb_to_recordset($14) as l(position int, variant_id text, product_id text, sku text, title text, quantity int,
                                             unit_price bigint, total bigint)
"""
SAVE = f"""
    with {order_store.SAVED}, cart as (
        update cart set status = $14, version = $15, updated_at = now() where id = $13
    )
    {order_store.ADD_ENTRIES}
"""  # noqa: S608 - as above


class SqlCheckouts:
    """What a cart holds cannot change while its order is attempted, and is not written here."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def lock(self, cart_id: str, owner: Owner) -> tuple[Cart, Order | None]:
        row = await cart_store.locked(self._uow, LOCK, cart_id, owner)
        order = row[rows.CART_WIDTH :]
        return rows.cart(row), None if order[0] is None else rows.order(order)

    async def lock_attempt(self, order_id: str) -> tuple[Cart, Order]:
        row = _found(await self._uow.fetchrow(LOCK_ATTEMPT, order_id))
        return rows.cart(row), rows.order(row[rows.CART_WIDTH :])

    async def lock_to_place(self, order_id: str) -> tuple[Cart, Order, str, datetime]:
        number, now, *row = _found(await self._uow.fetchrow(LOCK_TO_PLACE, order_id))
        return rows.cart(row), rows.order(row[rows.CART_WIDTH :]), number, now

    async def put_draft(self, cart: Cart, order: Order) -> None:
        if order.attempt > 1:
            await self._uow.write(CLEAR_LINES, order.id)
        owner = order.owner
        await self._uow.write(
            PUT_DRAFT,
            order.id, cart.id, owner.user_id, owner.token_hash, order.email, rows.json(order.shipping_address),
            order.total.currency, order.rounding, order.total.amount, order.attempt, order.saga_id, order.version,
            rows.take_entries(order), rows.lines_json(order), cart.status.value, cart.version,
        )  # fmt: skip

    async def save(self, cart: Cart, order: Order) -> None:
        await self._uow.write(SAVE, *order_store.saved(order), cart.id, cart.status.value, cart.version)


def _found(row: Row | None) -> Row:
    if row is None:
        raise NotFound("there is no such order")
    return row
