"""What orders needs from its own store and from its neighbours, in its own words."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from modules.orders.domain.cart import Cart
from modules.orders.domain.order import Order
from modules.orders.domain.owner import Owner
from modules.orders.domain.totals import Offer
from shared.domain.money import Money
from shared.domain.work import Recorder


class Carts(Protocol):
    async def add(self, cart: Cart) -> None: ...

    async def lock(self, cart_id: str, owner: Owner) -> Cart:
        """Raises NotFound when there is none, or it is somebody else's."""
        ...

    async def save(self, cart: Cart) -> None: ...


class Orders(Protocol):
    async def lock(self, order_id: str, owner: Owner | None = None) -> Order:
        """Raises NotFound when there is none, or, where an owner is given, it is somebody else's or a draft."""
        ...

    async def save(self, order: Order) -> None: ...


class Checkouts(Protocol):
    """A cart and the order that it becomes, which change together: whoever locks both locks the cart first."""

    async def lock(self, cart_id: str, owner: Owner) -> tuple[Cart, Order | None]:
        """The cart, locked, and the order that it became or attempts to become; raises NotFound as Carts.lock does."""
        ...

    async def lock_attempt(self, order_id: str) -> tuple[Cart, Order]:
        """Both, locked."""
        ...

    async def lock_to_place(self, order_id: str) -> tuple[Cart, Order, str, datetime]:
        """The same, with a number for people, and the present by the database's clock."""
        ...

    async def put_draft(self, cart: Cart, order: Order) -> None:
        """Write the order that is attempted, and the state of its cart."""
        ...

    async def save(self, cart: Cart, order: Order) -> None:
        """Write the order, and the state of its cart."""
        ...


class Work(Recorder, Protocol):
    """One transaction of this module."""

    @property
    def carts(self) -> Carts: ...

    @property
    def orders(self) -> Orders: ...

    @property
    def checkouts(self) -> Checkouts: ...


class Catalogue(Protocol):
    async def offers(self, wanted: Mapping[str, int], currency: str) -> Mapping[str, Offer]:
        """What so many of each variant cost now, by the variant's id; unknown ones are absent."""
        ...


class HeldLine(msgspec.Struct, frozen=True):
    sku: str
    quantity: int


class Stock(Protocol):
    """Every command is idempotent by its key."""

    async def hold(self, key: str, lines: Sequence[HeldLine], seconds: int) -> None:
        """All lines or none; raises a Conflict that names what is available."""
        ...

    async def release(self, key: str) -> None: ...

    async def allocate(self, key: str) -> None:
        """Turn a hold into an allocation; an expired one is taken again, or a Conflict is raised."""
        ...

    async def give_back(self, key: str) -> None: ...


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    intent_id: str
    status: Literal["authorized", "declined", "requires_action"]
    decline_code: str | None = None
    action_url: str | None = None


class CaptureRefused(Exception):
    """The provider will not capture this authorisation, now or later. Never leaves this module: the order is cancelled."""


class Payment(Protocol):
    """Every command is idempotent by its key."""

    async def authorize(self, key: str, order_id: str, amount: Money, payment_method: str) -> Authorization: ...

    async def capture(self, key: str, intent_id: str) -> int:
        """Take what nobody has taken yet; answers the sum of all captures, in minor units. Raises CaptureRefused when it is for good."""
        ...

    async def call_off(self, key: str, order_id: str, reason: str) -> int:
        """Give up what was authorised, or still will be, with `key`, and begin to give back what was captured; answers the sum
        that was captured, in minor units. How the giving back ends is told by an event."""
        ...
