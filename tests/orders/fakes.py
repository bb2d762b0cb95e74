"""Orders' neighbours and store in memory, small enough to be read: what the use cases are tested against."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from modules.orders.domain.cart import Cart
from modules.orders.domain.order import Order, OrderStatus
from modules.orders.domain.owner import Owner
from modules.orders.domain.ports import Authorization, CaptureRefused, HeldLine
from modules.orders.domain.totals import Offer
from modules.orders.domain.views import OrderRow, OrderView, TimelineEntry, order_view
from modules.orders.public import OrderSummary
from shared.domain.errors import Conflict, DomainError, NotFound
from shared.domain.events import Event
from shared.domain.money import Money
from shared.domain.page import PageRequest, Slice
from shared.domain.saga import Asleep, Call, Ended, Failure, Local, Saga, Underway, Waiting

T = TypeVar("T")
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@dataclass
class Store:
    carts: dict[str, Cart] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    timeline: dict[str, list[str]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    begun: dict[str, tuple[str, Any, str]] = field(default_factory=dict)
    numbers: int = 100000


class Carts:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, cart: Cart) -> None:
        self._store.carts[cart.id] = cart

    async def lock(self, cart_id: str, owner: Owner) -> Cart:
        cart = self._store.carts.get(cart_id)
        if cart is None or cart.owner != owner:
            raise NotFound("there is no such cart")
        return cart

    async def save(self, cart: Cart) -> None:
        self._store.carts[cart.id] = cart


class Orders:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def lock(self, order_id: str, owner: Owner | None = None) -> Order:
        order = self._store.orders.get(order_id)
        if order is None or (owner is not None and order.owner != owner):
            raise NotFound("there is no such order")
        return order

    async def save(self, order: Order) -> None:
        self._store.timeline.setdefault(order.id, []).extend(entry.kind for entry in order.history)
        order.history.clear()
        self._store.orders[order.id] = order


class Checkouts:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._carts, self._orders = Carts(store), Orders(store)

    async def lock(self, cart_id: str, owner: Owner) -> tuple[Cart, Order | None]:
        order = next((order for order in self._store.orders.values() if order.cart_id == cart_id), None)
        return await self._carts.lock(cart_id, owner), order

    async def lock_attempt(self, order_id: str) -> tuple[Cart, Order]:
        order = await self._orders.lock(order_id)
        return self._store.carts[order.cart_id], order

    async def lock_to_place(self, order_id: str) -> tuple[Cart, Order, str, datetime]:
        self._store.numbers += 1
        return (*await self.lock_attempt(order_id), str(self._store.numbers), NOW)

    async def put_draft(self, cart: Cart, order: Order) -> None:
        await self.save(cart, order)

    async def save(self, cart: Cart, order: Order) -> None:
        await self._carts.save(cart)
        await self._orders.save(order)


class Work:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.carts = Carts(store)
        self.orders = Orders(store)
        self.checkouts = Checkouts(store)

    def record(self, event: Event, *, version: int) -> None:
        self._store.events.append(event)

    def enqueue(
        self, kind: str, payload: object, *, unique: str | None = None, delay_s: float = 0.0, key: str = "", priority: int = 5
    ) -> None:
        raise AssertionError("orders enqueues nothing")

    def begin_saga(self, name: str, state: msgspec.Struct, *, key: str) -> str:
        saga_id = f"sag_{len(self._store.begun)}"
        self._store.begun[saga_id] = (name, state, key)
        return saga_id

    def wake_saga(self, saga_id: str) -> None:
        raise AssertionError("nothing here wakes a saga")


class Database:
    """All or nothing: work on a copy, kept when it returns."""

    def __init__(self) -> None:
        self.store = Store()

    async def transact(self, work: Callable[[Any], Awaitable[T]]) -> T:
        attempt = deepcopy(self.store)
        result = await work(Work(attempt))
        self.store = attempt
        return result


class Queries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def cart(self, cart_id: str, owner: Owner) -> Cart | None:
        cart = self._database.store.carts.get(cart_id)
        return deepcopy(cart) if cart is not None and cart.owner == owner else None

    async def order(self, order_id: str, owner: Owner | None) -> OrderView | None:
        order = self._database.store.orders.get(order_id)
        hidden = order is None or order.status is OrderStatus.DRAFT or owner not in (None, order.owner)
        return None if hidden or order is None else order_view(order)

    async def orders(self, owner: Owner | None, status: str | None, page: PageRequest) -> Slice[OrderRow]:
        raise AssertionError("lists are tested on Postgres")

    async def timeline(self, order_id: str, owner: Owner | None, page: PageRequest) -> Slice[TimelineEntry]:
        return Slice([TimelineEntry(at=NOW, kind=kind, facts={}) for kind in self._database.store.timeline[order_id]])

    async def summaries(self, order_ids: Sequence[str]) -> list[OrderSummary]:
        raise AssertionError("summaries are tested on Postgres")


class Catalogue:
    """Sells every variant whose name begins with `var_` for its price in `prices`."""

    def __init__(self, prices: dict[str, int]) -> None:
        self.prices = prices

    async def offers(self, wanted: Mapping[str, int], currency: str) -> Mapping[str, Offer]:
        known = [id for id in wanted if id in self.prices]
        return {id: Offer(id, "prd_1", id.upper(), f"Thing {id}", Money(self.prices[id], currency), sellable=True) for id in known}


class Stock:
    def __init__(self, on_hand: dict[str, int]) -> None:
        self.on_hand = on_hand
        self.held: dict[str, list[HeldLine]] = {}
        self.allocated: dict[str, list[HeldLine]] = {}

    async def hold(self, key: str, lines: Sequence[HeldLine], seconds: int) -> None:
        for line in lines:
            if self.on_hand.get(line.sku, 0) < line.quantity:
                raise Conflict("there is not enough", sku=line.sku)
        for line in lines:
            self.on_hand[line.sku] -= line.quantity
        self.held[key] = list(lines)

    async def release(self, key: str) -> None:
        self._back(self.held.pop(key, []))

    async def allocate(self, key: str) -> None:
        self.allocated[key] = self.held.pop(key)

    async def give_back(self, key: str) -> None:
        self._back(self.allocated.pop(key, []))

    def _back(self, lines: Sequence[HeldLine]) -> None:
        for line in lines:
            self.on_hand[line.sku] += line.quantity


class Payment:
    """`pm_declined`, `pm_3ds` and `pm_uncapturable` do what they say; every other method works."""

    def __init__(self) -> None:
        self.authorized: dict[str, int] = {}
        self.captured: dict[str, int] = {}
        self.refunded: dict[str, int] = {}
        self._refuses_capture = False

    async def authorize(self, key: str, order_id: str, amount: Money, payment_method: str) -> Authorization:
        intent = f"pin_{key}"
        if payment_method == "pm_declined":
            return Authorization(intent_id=intent, status="declined", decline_code="do_not_honor")
        if payment_method == "pm_3ds":
            return Authorization(intent_id=intent, status="requires_action", action_url="https://bank.example/3ds")
        self._refuses_capture = payment_method == "pm_uncapturable"
        self.authorized[intent] = amount.amount
        return Authorization(intent_id=intent, status="authorized")

    async def capture(self, key: str, intent_id: str) -> int:
        if self._refuses_capture:
            raise CaptureRefused
        self.captured[intent_id] = self.authorized[intent_id]
        return self.captured[intent_id]

    async def call_off(self, key: str, order_id: str, reason: str) -> int:
        intent = f"pin_{key}"
        self.authorized.pop(intent, None)
        if intent in self.captured:
            self.refunded[intent] = self.captured[intent]
        return self.captured.get(intent, 0)


class Sagas:
    """Runs a saga's steps in a row and compensates in reverse: what the engine does on a day without faults."""

    def __init__(self, database: Database, sagas: Sequence[Saga[Any, Any]]) -> None:
        self._database = database
        self._sagas = {saga.name: saga for saga in sagas}

    async def run(self, saga_id: str, outcome: type[Any], *, patience_s: float) -> Ended[Any] | Asleep | Underway:
        name, state, _ = self._database.store.begun[saga_id]
        saga, failure = self._sagas[name], None
        for position, step in enumerate(saga.steps):
            try:
                state = await self._step(saga_id, step, step.action, state)
            except Waiting as waiting:
                return Asleep(waiting.state)
            except DomainError as error:
                failure = Failure(error.code, error.detail, error.facts)
                for done in reversed(saga.steps[: position + 1]):
                    if done.compensation is not None:
                        state = await self._step(saga_id, done, done.compensation, state)
                break
        ended = await self._database.transact(lambda work: saga.finish(work, state, failure))
        return Ended(ended, failure)

    async def _step(self, saga_id: str, step: Any, function: Callable[..., Awaitable[Any]], state: Any) -> Any:
        if isinstance(step, Local):
            return await self._database.transact(lambda work: function(work, state))
        key = f"{saga_id}:{step.name}"
        return await function(state, Call(key, 1.0, key))
