"""What the inventory needs from its own store."""

from collections.abc import Sequence
from typing import Protocol

from modules.inventory.domain.level import Change, Shift
from modules.inventory.domain.movement import Movement
from modules.inventory.domain.reservation import Reservation, State, Step
from modules.inventory.domain.views import LocationView, MovementView
from modules.inventory.public import Line
from shared.domain.work import Recorder


class Levels(Protocol):
    async def open(self, places: Sequence[tuple[str, str]]) -> None:
        """See to it that each (location, SKU) has a level; raises LocationUnknown."""
        ...

    async def shift(self, shifts: Sequence[Shift]) -> list[Change]:
        """All or none, in one statement that locks in the order of `merged`; raises Short."""
        ...


class Reservations(Protocol):
    """Whatever locks a reservation does so before any level is touched: so no two transactions wait for each other."""

    async def claim(self, reservation_id: str, key: str, lines: Sequence[Line], ttl_s: int) -> tuple[Reservation, bool]:
        """A new reservation, held at the default location, and True; or the one that has the key already, locked, and False."""
        ...

    async def advance_by_key(self, key: str, step: Step) -> Reservation | None:
        """The reservation as it was, locked; by now it is in the state that `step` leads to, one version further if that is another."""
        ...

    async def lock_id(self, reservation_id: str) -> Reservation:
        """Raises NotFound."""
        ...

    async def lock_or_bury(self, reservation_id: str, key: str) -> Reservation:
        """The reservation of this key, locked; a released one without lines is made if there is none, so that the key is used up."""
        ...

    async def lapsed(self, limit: int) -> list[Reservation]:
        """Held ones whose time has passed, locked, the longest lapsed first; those that others have locked are left out."""
        ...

    async def lapsed_with(self, skus: Sequence[str], limit: int) -> list[str]:
        """The ids of lapsed ones that hold one of these, not locked."""
        ...

    async def lock_lapsed(self, reservation_ids: Sequence[str]) -> list[Reservation]:
        """Waits for whoever has them; those that have not lapsed, or do not any more, are left out."""
        ...

    async def advance(self, reservations: Sequence[Reservation], state: State) -> None:
        """Put reservations into `state`, each one version further; raises StaleVersion if one has moved meanwhile."""
        ...

    async def renew(self, reservation: Reservation, ttl_s: int) -> Reservation:
        """Hold it anew, for `ttl_s` from now."""
        ...

    async def extend(self, reservation: Reservation, ttl_s: int, cap_s: int) -> Reservation:
        """Until `ttl_s` from now, but no longer than `cap_s` after it began, and no shorter than it is."""
        ...

    async def ship(self, reservation: Reservation, sku: str, quantity: int) -> None:
        """Count pieces of a line as shipped."""
        ...


class Movements(Protocol):
    async def append(self, movement: Movement, actor: str) -> MovementView: ...


class Locations(Protocol):
    """`add` and `rename` raise LocationNameTaken."""

    async def default(self) -> str: ...

    async def add(self, location_id: str, name: str) -> LocationView: ...

    async def rename(self, location_id: str, name: str, expected_version: int | None) -> LocationView:
        """Raises NotFound, StaleVersion."""
        ...


class Work(Recorder, Protocol):
    """One transaction of this module."""

    @property
    def levels(self) -> Levels: ...

    @property
    def reservations(self) -> Reservations: ...

    @property
    def movements(self) -> Movements: ...

    @property
    def locations(self) -> Locations: ...
