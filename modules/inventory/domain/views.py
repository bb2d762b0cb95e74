"""What is read of the inventory, and the queries that answer it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from modules.inventory.domain.movement import Kind
from modules.inventory.domain.reservation import HeldLine, Reservation, State
from shared.domain.page import PageRequest, Slice


class LocationView(msgspec.Struct, frozen=True):
    """A place where stock lies. What customers buy is taken from the default one."""

    id: str
    version: int
    name: str
    is_default: bool
    created_at: datetime


class LevelView(msgspec.Struct, frozen=True):
    """`available` is what is on hand and neither allocated to orders nor reserved."""

    sku: str
    location_id: str
    on_hand: int
    allocated: int
    reserved: int
    available: int
    version: int


class MovementView(msgspec.Struct, frozen=True):
    id: str
    kind: Kind
    sku: str
    quantity: int
    location_id: str
    to_location_id: str | None
    reservation_id: str | None
    reason: str
    actor: str
    created_at: datetime


class ReservationView(msgspec.Struct, frozen=True):
    """Stock kept for somebody; a `held` one lapses at `expires_at`."""

    id: str
    version: int
    state: State
    location_id: str
    expires_at: datetime
    began_at: datetime
    lines: list[HeldLine]


class InventoryQueries(Protocol):
    async def available(self, skus: Sequence[str]) -> dict[str, int]:
        """At the default location; unknown SKUs are absent."""
        ...

    async def levels(self, sku: str | None, location_id: str | None, page: PageRequest) -> Slice[LevelView]:
        """By SKU, then by location."""
        ...

    async def movements(self, sku: str | None, page: PageRequest) -> Slice[MovementView]:
        """The latest first."""
        ...

    async def reservation(self, reservation_id: str) -> ReservationView | None: ...

    async def locations(self, page: PageRequest) -> Slice[LocationView]: ...

    async def location(self, location_id: str) -> LocationView | None: ...


def reservation_view(reservation: Reservation) -> ReservationView:
    return ReservationView(
        id=reservation.id,
        version=reservation.version,
        state=reservation.state,
        location_id=reservation.location_id,
        expires_at=reservation.expires_at,
        began_at=reservation.began_at,
        lines=list(reservation.lines),
    )
