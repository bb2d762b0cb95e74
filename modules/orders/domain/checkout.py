"""The use case that turns a cart into an order."""

from typing import Final, assert_never

from modules.orders.domain.cart import Cart, CartStatus
from modules.orders.domain.completion import COMPLETE_CART, CompleteCart
from modules.orders.domain.errors import CartIncomplete, CartMoved, CompletionInProgress, PriceChanged
from modules.orders.domain.order import Order
from modules.orders.domain.owner import Owner
from modules.orders.domain.ports import Catalogue, Work
from modules.orders.domain.totals import PricedLine, sum_of
from modules.orders.domain.views import Completion, OrderQueries, StillRunning, order_view
from shared.domain.context import Principal, current
from shared.domain.errors import NotFound
from shared.domain.money import Money
from shared.domain.once import Pending
from shared.domain.saga import Asleep, Ended, Sagas, Underway
from shared.domain.work import Transact

PATIENCE_S: Final = 10.0
ANSWER_S: Final = 1.0
"""What is kept of the request's deadline for answering it."""


class CheckoutService:
    def __init__(self, transact: Transact[Work], queries: OrderQueries, catalogue: Catalogue, sagas: Sagas, hold_seconds: int) -> None:
        self._transact = transact
        self._queries = queries
        self._catalogue = catalogue
        self._sagas = sagas
        self._hold_seconds = hold_seconds

    async def complete(self, principal: Principal, cart_id: str, expected_total: Money, payment_method: str) -> Completion | StillRunning:
        """Complete the cart, or join its order when that is placed already.

        Raises PriceChanged, CartIncomplete, CompletionInProgress. A refusal by stock or payment is a Completion with its
        failure; StillRunning means that it goes on without the caller.
        """
        owner = Owner.of(principal)
        seen = await self._queries.cart(cart_id, owner)
        if seen is None:
            raise NotFound("there is no such cart")
        offers = await self._catalogue.offers(seen.wanted(), seen.currency)

        async def begin(work: Work) -> Pending | Completion:
            cart, previous = await work.checkouts.lock(cart_id, owner)
            if cart.status is CartStatus.COMPLETED and previous is not None:
                return Completion(order=order_view(previous))
            if cart.status is CartStatus.COMPLETING:
                raise CompletionInProgress("the cart is being completed", operation_id=previous.saga_id if previous else None)
            if cart.wanted() != seen.wanted():
                raise CartMoved("the cart was changed while it was being completed")
            order = agree(cart, cart.priced(offers), expected_total, previous)
            cart.begin_completion(order.id)
            order.saga_id = work.begin_saga(COMPLETE_CART, CompleteCart.of(order, payment_method, self._hold_seconds), key=order.id)
            await work.checkouts.put_draft(cart, order)
            return Pending(order.saga_id)

        begun = await self._transact(begin)
        return begun if isinstance(begun, Completion) else await self._follow(begun.saga_id)

    async def _follow(self, saga_id: str) -> Completion | StillRunning:
        result = await self._sagas.run(saga_id, Completion, patience_s=patience())
        match result:
            case Ended():
                return result.outcome
            case Asleep():
                return StillRunning(operation_id=saga_id, status="requires_action", action_url=result.state.action_url)
            case Underway():
                return StillRunning(operation_id=saga_id, status="running")
            case _:
                assert_never(result)


def patience() -> float:
    """How long a request may wait for what it has begun, in seconds."""
    return max(0.0, current().seconds_left(PATIENCE_S + ANSWER_S) - ANSWER_S)


def agree(cart: Cart, lines: list[PricedLine | None], expected_total: Money, previous: Order | None) -> Order:
    """The draft that both sides agree on; raises CartIncomplete or PriceChanged."""
    if (missing := cart.requirements(lines)) or cart.shipping_address is None:
        raise CartIncomplete("the cart cannot be completed yet", requirements=missing)
    sold = [line for line in lines if line is not None]
    total = sum_of(sold, cart.currency)
    if total != expected_total:
        raise PriceChanged(f"the total is {total}", total=total)
    return Order.draft(cart, sold, cart.shipping_address, previous)
