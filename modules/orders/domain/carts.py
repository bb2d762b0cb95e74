"""The use cases of carts."""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from modules.orders.domain.cart import Cart, CartDetails
from modules.orders.domain.errors import CartMoved, NotSellable
from modules.orders.domain.owner import Owner
from modules.orders.domain.ports import Catalogue, Work
from modules.orders.domain.totals import Offer, PricedLine
from modules.orders.domain.views import CartView, NewCartView, OrderQueries, cart_view
from shared.domain.context import Principal
from shared.domain.errors import DomainError, NotFound
from shared.domain.ids import new_id
from shared.domain.money import exponent
from shared.domain.work import Transact

TOKEN_BYTES: Final = 32
TRIES: Final = 5


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
        cart = await self._seen(cart_id, Owner.of(principal))
        return cart_view(cart, cart.priced(await self._catalogue.offers(cart.wanted(), cart.currency)))

    async def add_item(self, principal: Principal, cart_id: str, variant_id: str, quantity: int, expected: int | None) -> CartView:
        def insist(cart: Cart, lines: list[PricedLine | None]) -> None:
            if not any(line is not None and line.variant_id == variant_id for line in lines):
                raise NotSellable("this variant cannot be bought in the cart's currency", variant_id=variant_id)

        return await self._change(Owner.of(principal), cart_id, lambda cart: cart.add(variant_id, quantity), expected, insist)

    async def set_quantity(self, principal: Principal, cart_id: str, item_id: str, quantity: int, expected: int | None) -> CartView:
        return await self._change(Owner.of(principal), cart_id, lambda cart: cart.set_quantity(item_id, quantity), expected)

    async def remove_item(self, principal: Principal, cart_id: str, item_id: str, expected: int | None) -> CartView:
        return await self._change(Owner.of(principal), cart_id, lambda cart: cart.remove(item_id), expected)

    async def set_details(self, principal: Principal, cart_id: str, details: CartDetails, expected: int | None) -> CartView:
        return await self._change(Owner.of(principal), cart_id, lambda cart: cart.set_details(details), expected)

    async def claim(self, principal: Principal, cart_id: str, token: str) -> CartView:
        """Make a guest's cart the caller's own: both credentials are needed."""
        guest = Owner(token_hash=hash_of(token))
        return await self._change(guest, cart_id, lambda cart: cart.claim(principal.id), None)

    async def _change(
        self,
        owner: Owner,
        cart_id: str,
        change: Callable[[Cart], None],
        expected: int | None,
        insist: Callable[[Cart, list[PricedLine | None]], None] = lambda cart, lines: None,
    ) -> CartView:
        """Price what the change will lead to, then change what is there; look again when that was not the same."""
        for _ in range(TRIES):
            with suppress(CartMoved):
                return await self._try_change(owner, cart_id, change, expected, insist)
        raise CartMoved("the cart is being changed by other requests")

    async def _try_change(
        self,
        owner: Owner,
        cart_id: str,
        change: Callable[[Cart], None],
        expected: int | None,
        insist: Callable[[Cart, list[PricedLine | None]], None],
    ) -> CartView:
        wanted, offers = await self._preview(owner, cart_id, change)

        async def work(work: Work) -> CartView:
            cart = await work.carts.lock(cart_id, owner)
            cart.expect_version(expected)
            change(cart)
            if cart.wanted() != wanted:
                raise CartMoved("another request changed the cart at the same moment")
            lines = cart.priced(offers)
            insist(cart, lines)
            await work.carts.save(cart)
            return cart_view(cart, lines)

        return await self._transact(work)

    async def _preview(self, owner: Owner, cart_id: str, change: Callable[[Cart], None]) -> tuple[dict[str, int], Mapping[str, Offer]]:
        """What the cart will hold, and what that costs. Nothing is refused here, not even a cart that is somebody else's by now:
        a repeated request has its answer first."""
        cart = await self._queries.cart(cart_id, owner)
        if cart is None:
            return {}, {}
        with suppress(DomainError):
            change(cart)
        return cart.wanted(), await self._catalogue.offers(cart.wanted(), cart.currency)

    async def _seen(self, cart_id: str, owner: Owner) -> Cart:
        cart = await self._queries.cart(cart_id, owner)
        if cart is None:
            raise NotFound("there is no such cart")
        return cart
