"""What others may know of the inventory: events, lines and holds, the refusal, and the facade."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Protocol

import msgspec

from shared.domain.errors import Conflict
from shared.domain.events import Event


class LevelEvent(Event, frozen=True, kw_only=True):
    """Something about one SKU at one location, which together are the aggregate."""

    event_key: ClassVar[str] = "sku"
    sku: str
    location_id: str

    @property
    def key(self) -> str:
        return f"{self.location_id}/{self.sku}"


class LevelChanged(LevelEvent, frozen=True, kw_only=True):
    """The level as it is now; what is neither allocated nor reserved can be sold."""

    event_type: ClassVar[str] = "inventory.level_changed"
    on_hand: int
    allocated: int
    reserved: int
    version: int


class StockLow(LevelEvent, frozen=True, kw_only=True):
    """What can be sold has fallen to the threshold or below."""

    event_type: ClassVar[str] = "inventory.low"
    available: int


class StockOut(LevelEvent, frozen=True, kw_only=True):
    """Nothing is left to sell."""

    event_type: ClassVar[str] = "inventory.out"


class StockBackIn(LevelEvent, frozen=True, kw_only=True):
    """There is something to sell again."""

    event_type: ClassVar[str] = "inventory.back_in"
    available: int


class ReservationCreated(Event, frozen=True, kw_only=True):
    """Stock is held until `expires_at`; a hold that had lapsed and was taken again says so once more."""

    event_type: ClassVar[str] = "inventory.reservation_created"
    event_key: ClassVar[str] = "reservation_id"
    reservation_id: str
    reference: str
    expires_at: datetime


class ReservationExpired(Event, frozen=True, kw_only=True):
    """Nobody came in time; the stock is free again."""

    event_type: ClassVar[str] = "inventory.reservation_expired"
    event_key: ClassVar[str] = "reservation_id"
    reservation_id: str
    reference: str


class ReservationReleased(Event, frozen=True, kw_only=True):
    """A hold, or the allocation that it had become, was given back."""

    event_type: ClassVar[str] = "inventory.reservation_released"
    event_key: ClassVar[str] = "reservation_id"
    reservation_id: str
    reference: str


class ReservationCommitted(Event, frozen=True, kw_only=True):
    """The hold has become an allocation: it does not expire any more."""

    event_type: ClassVar[str] = "inventory.reservation_committed"
    event_key: ClassVar[str] = "reservation_id"
    reservation_id: str
    reference: str


PUBLISHES: tuple[type[Event], ...] = (
    LevelChanged, StockLow, StockOut, StockBackIn, ReservationCreated, ReservationExpired, ReservationReleased, ReservationCommitted,
)  # fmt: skip


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """So many pieces of a SKU."""

    sku: str
    quantity: int


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """What of a line can be had."""

    sku: str
    requested: int
    available: int


class InsufficientStock(Conflict):
    """There is not enough of at least one line, and nothing was taken. The fact `lines` says of each such line what is available."""

    code = "insufficient_stock"
    title = "Not enough in stock"


class ReservationReleasedAlready(Conflict):
    """The reservation was given back: a release wins, also over a reserve that arrives after it."""

    code = "reservation_released"
    title = "The reservation was released"


class ReservationKeyReused(Conflict):
    """This key was used before to reserve other lines."""

    code = "reservation_key_reused"
    title = "The key was used for other lines"


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """What `reserve` answers: the stock is kept for `key` until `expires_at`."""

    key: str
    reservation_id: str
    expires_at: datetime


class Inventory(Protocol):
    """Every command is idempotent by `key`, which names one reservation for ever. All work at the default location."""

    async def reserve(self, key: str, lines: Sequence[Line], ttl_s: int) -> Hold:
        """Hold all lines or none for `ttl_s` seconds; raises InsufficientStock.

        A repeat answers the same hold, or takes it anew if it had expired. Raises ReservationReleasedAlready after a
        release of this key, ReservationKeyReused when the lines differ.
        """
        ...

    async def release(self, key: str) -> None:
        """Give a hold back. An unknown key is marked released, so that a reserve overtaken by its release fails.

        Raises Conflict when the hold has become an allocation: that is given back by `deallocate`, after which there is nothing
        left to release.
        """
        ...

    async def commit(self, key: str) -> None:
        """Turn the hold into an allocation. An expired one is taken again, else InsufficientStock; NotFound for an unknown key."""
        ...

    async def deallocate(self, key: str) -> None:
        """Give back the allocation, or the hold that never became one; like `release`, it wins over what comes after it."""
        ...

    async def available(self, skus: Sequence[str]) -> dict[str, int]:
        """What can be sold of each SKU; 0 for an unknown one."""
        ...
