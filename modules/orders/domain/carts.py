"""The use cases of carts."""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from modules.orders.domain.cart import Cart, CartDetails
from modules.orders.domain.errors import NotSellable
from modules.orders.domain.owner import Owner
from modules.orders.domain.ports import Catalogue, Work
from modules.orders.domain.totals import Offer, Wanted, price_line
from modules.orders.domain.views import CartView, NewCartView, OrderQueries, cart_view
from shared.domain.context import Principal
from shared.domain.errors import Conflict, NotFound
from shared.domain.ids import new_id
from shared.domain.money import exponent
from shared.domain.work import Transact

TOKEN_BYTES: Final = 32


class CartMoved(Conflict):
    """The cart was changed by another request at the same moment; send yours again."""

    code = "cart_moved"
    title = "The cart has just changed"
    retryable = True


def hash_of(token: str) -> str:
    """What is stored of a guest's cart token: SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


class CartService:
    """Every answer shows the cart at the prices of this moment."""

    def __init__(self, transact: Transact[Work], queries: OrderQueries, catalogue: Catalogue) -> None:
        self._transact = transact
        self._queries = queries
        self._catalogue = catalogue

    async def create(self, principal: Principal, currency: str) -> NewCartView:
        exponent(currency)
        token = None if principal.kind == "user" else secrets.token_urlsafe(TOKEN_BYTES)
        owner = Owner(user_id=principal.id) if token is None else Owner(token_hash=hash_of(token))
        cart = Cart(id=new_id("crt"), owner=owner, currency=currency)

        async def work(work: Work) -> NewCartView:
            await work.carts.add(cart)
            return NewCartView(cart=cart_view(cart, []), token=token)

        return await self._transact(work)

    async def read(self, principal: Principal, cart_id: str) -> CartView:
        cart = await self._queries.cart(cart_id, Owner.of(principal))
        if cart is None:
            raise NotFound("there is no such cart")
        offers = await self._catalogue.offers([item.variant_id for item in cart.items], cart.currency)
        return cart_view(cart, cart.priced(offers))

    async def add_item(self, principal: Principal, cart_id: str, variant_id: str, quantity: int, expected: int | None) -> CartView:
        def change(cart: Cart, offers: Mapping[str, Offer]) -> None:
            if price_line(offers.get(variant_id), Wanted(variant_id, quantity)) is None:
                raise NotSellable("this variant cannot be bought in the cart's currency", variant_id=variant_id)
            cart.add(variant_id, quantity)

        return await self._change(principal, cart_id, change, expected, also=variant_id)

    async def set_quantity(self, principal: Principal, cart_id: str, item_id: str, quantity: int, expected: int | None) -> CartView:
        return await self._change(principal, cart_id, lambda cart, offers: cart.set_quantity(item_id, quantity), expected)

    async def remove_item(self, principal: Principal, cart_id: str, item_id: str, expected: int | None) -> CartView:
        return await self._change(principal, cart_id, lambda cart, offers: cart.remove(item_id), expected)

    async def set_details(self, principal: Principal, cart_id: str, details: CartDetails, expected: int | None) -> CartView:
        return await self._change(principal, cart_id, lambda cart, offers: cart.set_details(details), expected)

    async def claim(self, principal: Principal, cart_id: str, token: str) -> CartView:
        """Make a guest's cart the caller's own: both credentials are needed."""
        guest = Principal(kind="cart", id=hash_of(token))
        return await self._change(guest, cart_id, lambda cart, offers: cart.claim(principal.id), None)

    async def _change(
        self,
        principal: Principal,
        cart_id: str,
        change: Callable[[Cart, Mapping[str, Offer]], None],
        expected: int | None,
        also: str | None = None,
    ) -> CartView:
        owner = Owner.of(principal)
        snapshot = await self._queries.priced_variants(cart_id, owner)
        if snapshot is None:
            raise NotFound("there is no such cart")
        asked = {*snapshot.variant_ids, *([also] if also else [])}
        offers = await self._catalogue.offers(sorted(asked), snapshot.currency)

        async def work(work: Work) -> CartView:
            cart = await work.carts.lock(cart_id, owner)
            cart.expect_version(expected)
            if not {item.variant_id for item in cart.items} <= asked:
                raise CartMoved("another request changed the cart at the same moment")
            change(cart, offers)
            await work.carts.save(cart)
            return cart_view(cart, cart.priced(offers))

        return await self._transact(work)
