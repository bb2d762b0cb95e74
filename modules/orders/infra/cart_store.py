"""Carts in Postgres: locked by row, written whole in few statements."""

from modules.orders.domain.cart import Cart
from modules.orders.domain.owner import Owner
from modules.orders.infra import rows
from shared.domain.errors import NotFound
from shared.infra.db.statements import Row
from shared.infra.db.unit_of_work import UnitOfWork

OWNED = "(c.user_id = $2 or c.token_hash = $3)"
# After waiting for the lock, the cart's row is newer than what was read beside it, its items for instance.
FRESH = "c.xmin = (select seen.xmin from cart seen where seen.id = c.id) as fresh"
LOCK = f"select {rows.CART_COLUMNS}, {FRESH} from cart c where c.id = $1 and {OWNED} for update"  # noqa: S608 - columns of ours

INSERT = """
    insert into cart (id, user_id, token_hash, currency, email, status, version) values ($1, $2, $3, $4, $5, $6, $7)
"""
SAVE = """
    update cart set user_id = $2, token_hash = $3, email = $4, shipping_address = $5, status = $6, order_id = $7, version = $8,
                    updated_at = now()
    where id = $1
"""
REMOVE_ITEMS = "delete from cart_item where cart_id = $1 and id <> all($2::text[])"
SAVE_WITH_ITEMS = f"""
    with saved as ({SAVE})
    insert into cart_item (cart_id, id, variant_id, quantity)
    select $1, wanted.* from unnest($9::text[], $10::text[], $11::int[]) as wanted
    on conflict on constraint cart_item_pk do update set quantity = excluded.quantity
    where cart_item.quantity <> excluded.quantity
"""  # noqa: S608 - a statement of ours


class SqlCarts:
    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._stored: dict[str, list[tuple[str, int]]] = {}

    async def add(self, cart: Cart) -> None:
        owner = cart.owner
        await self._uow.write(INSERT, cart.id, owner.user_id, owner.token_hash, cart.currency, cart.email, cart.status.value, cart.version)

    async def lock(self, cart_id: str, owner: Owner) -> Cart:
        cart = rows.cart(await locked(self._uow, LOCK, cart_id, owner))
        self._stored[cart.id] = _content(cart)
        return cart

    async def save(self, cart: Cart) -> None:
        before, after = self._stored[cart.id], _content(cart)
        ids = [item.id for item in cart.items]
        if {id for id, _ in before} - set(ids):
            await self._uow.write(REMOVE_ITEMS, cart.id, ids)
        if set(after) - set(before):
            variants, quantities = [item.variant_id for item in cart.items], [item.quantity for item in cart.items]
            await self._uow.write(SAVE_WITH_ITEMS, *_row(cart), ids, variants, quantities)
        else:
            await self._uow.write(SAVE, *_row(cart))
        self._stored[cart.id] = after


async def locked(uow: UnitOfWork, sql: str, cart_id: str, owner: Owner) -> Row:
    """The row of a statement that locks a cart and answers FRESH: sent again, with the lock in hand, where it was not."""
    row = await uow.fetchrow(sql, cart_id, owner.user_id, owner.token_hash)
    if row is not None and not row["fresh"]:
        row = await uow.fetchrow(sql, cart_id, owner.user_id, owner.token_hash)
    if row is None:
        raise NotFound("there is no such cart")
    return row


def _row(cart: Cart) -> tuple[object, ...]:
    """The parameters of SAVE."""
    address = None if cart.shipping_address is None else rows.json(cart.shipping_address)
    owner = cart.owner
    return cart.id, owner.user_id, owner.token_hash, cart.email, address, cart.status.value, cart.order_id, cart.version


def _content(cart: Cart) -> list[tuple[str, int]]:
    return [(item.id, item.quantity) for item in cart.items]
