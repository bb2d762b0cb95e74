"""Carts over HTTP."""

from typing import Annotated, Any

from litestar import Controller, Request
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter
from msgspec import UnsetType, convert

from modules.orders.api.schemas import AddItem, CompleteCart, CreateCart, SetQuantity, UpdateCart
from modules.orders.domain.cart import Address, CartDetails
from modules.orders.domain.carts import CartService
from modules.orders.domain.checkout import CheckoutService
from modules.orders.domain.errors import (
    AttemptsUsedUp,
    CartFull,
    CartIncomplete,
    CartMoved,
    CartNotOpen,
    CompletionFailed,
    CompletionInProgress,
    InsufficientStock,
    NotSellable,
    PaymentDeclined,
    PriceChanged,
)
from modules.orders.domain.views import CartView, Completion, NewCartView, OrderView, StillRunning
from shared.api.answers import Reply, accepted, created, ok
from shared.api.conditional import if_match
from shared.api.idempotency import once
from shared.api.routes import delete, get, patch, post
from shared.api.types import Id, Token
from shared.domain.context import current
from shared.domain.errors import DomainError, NotFound
from shared.domain.money import UnknownCurrency
from shared.domain.saga import Failure

REFUSALS = {kind.code: kind for kind in (InsufficientStock, PaymentDeclined)}
CHANGES = [NotFound, CartNotOpen, CartMoved]


class Carts(Controller):
    path = "/v1/carts"
    tags = ("carts",)

    @post(operation="createCart", errors=[UnknownCurrency], idempotent="never")
    async def create(self, data: CreateCart, carts: NamedDependency[CartService]) -> Reply[NewCartView]:
        """Begin a cart. A guest's answer carries the token that opens it, shown this once: send it as `Cart-Token`."""
        made = await carts.create(current().principal, data.currency)
        return created_cart(made)

    @get("/{cart_id:str}", operation="getCart", errors=[NotFound], revalidates=False)
    async def read(self, cart_id: FromPath[Id], carts: NamedDependency[CartService]) -> Reply[CartView]:
        """A cart at the prices of this moment."""
        return ok(await carts.read(current().principal, cart_id))

    @patch("/{cart_id:str}", operation="updateCart", errors=CHANGES)
    async def update(
        self, cart_id: FromPath[Id], data: UpdateCart, request: Request[Any, Any, Any], carts: NamedDependency[CartService]
    ) -> Reply[CartView]:
        """Set the e-mail address or the shipping address."""
        return ok(await carts.set_details(current().principal, cart_id, details_of(data), if_match(request)))

    @post("/{cart_id:str}/items", operation="addCartItem", errors=[*CHANGES, CartFull, NotSellable], if_match="optional")
    async def add_item(
        self, cart_id: FromPath[Id], data: AddItem, request: Request[Any, Any, Any], carts: NamedDependency[CartService]
    ) -> Reply[CartView]:
        """Put a variant into the cart; one that is in it already becomes more."""
        work = carts.add_item(current().principal, cart_id, data.variant_id, data.quantity, if_match(request))
        return await once(request, work, created_item)

    @patch("/{cart_id:str}/items/{item_id:str}", operation="updateCartItem", errors=CHANGES, if_match="optional")
    async def set_quantity(
        self,
        cart_id: FromPath[Id],
        item_id: FromPath[Id],
        data: SetQuantity,
        request: Request[Any, Any, Any],
        carts: NamedDependency[CartService],
    ) -> Reply[CartView]:
        """Say how many of an item there shall be."""
        return ok(await carts.set_quantity(current().principal, cart_id, item_id, data.quantity, if_match(request)))

    @delete("/{cart_id:str}/items/{item_id:str}", operation="removeCartItem", errors=CHANGES, status=200, if_match="optional")
    async def remove_item(
        self, cart_id: FromPath[Id], item_id: FromPath[Id], request: Request[Any, Any, Any], carts: NamedDependency[CartService]
    ) -> Reply[CartView]:
        """Take an item out."""
        return ok(await carts.remove_item(current().principal, cart_id, item_id, if_match(request)))

    @post("/{cart_id:str}/claim", operation="claimCart", errors=CHANGES, status=200)
    async def claim(
        self,
        cart_id: FromPath[Id],
        request: Request[Any, Any, Any],
        cart_token: Annotated[Token, HeaderParameter(name="Cart-Token")],
        carts: NamedDependency[CartService],
    ) -> Reply[CartView]:
        """Make a guest's cart one's own after logging in: send both credentials."""
        return await once(request, carts.claim(current().principal, cart_id, cart_token), ok)

    @post(
        "/{cart_id:str}/complete",
        operation="completeCart",
        rate="checkout",
        errors=[
            NotFound,
            CartIncomplete,
            CartMoved,
            PriceChanged,
            CompletionInProgress,
            AttemptsUsedUp,
            *REFUSALS.values(),
            CompletionFailed,
        ],
        idempotent="required",
        answers={202: StillRunning},
    )
    async def complete(
        self, cart_id: FromPath[Id], data: CompleteCart, request: Request[Any, Any, Any], checkout: NamedDependency[CheckoutService]
    ) -> Reply[OrderView]:
        """Turn the cart into an order: stock is held, the payment authorised, the order placed, the payment captured.

        A repeat, by anybody who may see the cart, answers with the same order.
        """
        work = checkout.complete(current().principal, cart_id, data.expected_total, data.payment_method)
        return await once(request, work, completed, outcome=Completion)


def created_cart(made: NewCartView) -> Reply[NewCartView]:
    reply = created("/v1/carts")(made.cart)
    return Reply(201, ok(made).body, reply.headers)


def created_item(cart: CartView) -> Reply[CartView]:
    return created("/v1/carts")(cart)


def completed(result: Completion | StillRunning) -> Reply[Any]:
    """201 with the order, 202 while it goes on, or the refusal that undid it."""
    if isinstance(result, StillRunning):
        return accepted(result, f"/v1/operations/{result.operation_id}")
    if result.order is None:
        raise refusal(result.failure)
    return created("/v1/orders")(result.order)


def refusal(failure: Failure | None) -> DomainError:
    """What a completion was undone for, as the error that it is."""
    if failure is None:
        raise ValueError("a completion ends with an order or with a failure")
    kind = REFUSALS.get(failure.code)
    return kind(failure.detail, **failure.facts) if kind else CompletionFailed(failure.detail, cause=failure.code)


def details_of(body: UpdateCart) -> CartDetails:
    address = body.shipping_address
    if address is None or isinstance(address, UnsetType):
        return CartDetails(email=body.email, shipping_address=address)
    return CartDetails(email=body.email, shipping_address=convert(address, Address, from_attributes=True))
