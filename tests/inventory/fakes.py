"""The inventory's store in memory. A refused transaction leaves nothing behind, and time passes only when it is told to."""

from collections.abc import Awaitable, Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from modules.inventory.domain.level import Change, Level, Shift, Short
from modules.inventory.domain.movement import Movement
from modules.inventory.domain.reservation import HeldLine, Reservation, State, Step, changes_of
from modules.inventory.domain.views import LevelView, LocationView, MovementView, ReservationView, reservation_view
from modules.inventory.public import Line
from shared.domain.errors import NotFound
from shared.domain.events import Event
from shared.domain.page import PageRequest, Slice
from tests.support.memory import Unit

T = TypeVar("T")
HOME = "loc_home"


@dataclass
class Kept:
    now: datetime = datetime(2026, 5, 1, tzinfo=UTC)
    levels: dict[tuple[str, str], Level] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)
    events: list[tuple[Event, int]] = field(default_factory=list)


class Levels:
    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    async def open(self, places: Sequence[tuple[str, str]]) -> None:
        for place in places:
            self._kept.levels.setdefault(place, Level(*place, 0, 0, 0, 0))

    async def shift(self, shifts: Sequence[Shift]) -> list[Change]:
        levels = self._kept.levels
        found = {place: levels[place] for shift in shifts if (place := (shift.location_id, shift.sku)) in levels}
        changes = []
        for shift in shifts:
            before = found.get((shift.location_id, shift.sku))
            if before is None or before.available + shift.available < 0:
                raise Short(found)
            values = before.on_hand + shift.on_hand, before.allocated + shift.allocated, before.reserved + shift.reserved
            changes.append(Change(before, Level(before.location_id, before.sku, *values, before.version + 1)))
        levels.update({(change.after.location_id, change.after.sku): change.after for change in changes})
        return changes


class Reservations:
    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    async def claim(self, reservation_id: str, key: str, lines: Sequence[Line], ttl_s: int) -> tuple[Reservation, bool]:
        if (found := await self.lock(key)) is not None:
            return found, False
        return self._put(reservation_id, key, "held", ttl_s, tuple(HeldLine(line.sku, line.quantity) for line in lines)), True

    async def lock(self, key: str) -> Reservation | None:
        found = self._kept.reservations.get(key)
        return None if found is None else replace(found, due=found.expires_at <= self._kept.now)

    async def advance_by_key(self, key: str, step: Step) -> Reservation | None:
        was = await self.lock(key)
        if was is not None and was.state in changes_of(step):
            await self.advance([was], changes_of(step)[was.state])
        return was

    async def lock_id(self, reservation_id: str) -> Reservation:
        for reservation in self._kept.reservations.values():
            if reservation.id == reservation_id:
                return replace(reservation, due=reservation.expires_at <= self._kept.now)
        raise NotFound("there is no such reservation")

    async def lock_or_bury(self, reservation_id: str, key: str) -> Reservation:
        return await self.lock(key) or self._put(reservation_id, key, "released", 0, ())

    async def lapsed(self, limit: int) -> list[Reservation]:
        held = [each for each in self._kept.reservations.values() if each.state == "held" and each.expires_at <= self._kept.now]
        return held[:limit]

    async def lapsed_with(self, skus: Sequence[str], limit: int) -> list[str]:
        return [each.id for each in await self.lapsed(limit) if any(line.sku in skus for line in each.lines)]

    async def lock_lapsed(self, reservation_ids: Sequence[str]) -> list[Reservation]:
        return [each for each in await self.lapsed(1000) if each.id in reservation_ids]

    async def advance(self, reservations: Sequence[Reservation], state: State) -> None:
        for each in reservations:
            self._kept.reservations[each.key] = replace(each, state=state, version=each.version + 1)

    async def renew(self, reservation: Reservation, ttl_s: int) -> Reservation:
        renewed = replace(
            reservation, state="held", began_at=self._kept.now, expires_at=self._until(ttl_s), due=False, version=reservation.version + 1
        )
        self._kept.reservations[reservation.key] = renewed
        return renewed

    async def extend(self, reservation: Reservation, ttl_s: int, cap_s: int) -> Reservation:
        until = max(reservation.expires_at, min(self._until(ttl_s), reservation.began_at + timedelta(seconds=cap_s)))
        extended = replace(reservation, expires_at=until, version=reservation.version + 1)
        self._kept.reservations[reservation.key] = extended
        return extended

    async def ship(self, reservation: Reservation, sku: str, quantity: int) -> None:
        lines = tuple(replace(line, shipped=line.shipped + quantity) if line.sku == sku else line for line in reservation.lines)
        self._kept.reservations[reservation.key] = replace(reservation, lines=lines, version=reservation.version + 1)

    def _put(self, reservation_id: str, key: str, state: State, ttl_s: int, lines: tuple[HeldLine, ...]) -> Reservation:
        reservation = Reservation(
            id=reservation_id,
            key=key,
            state=state,
            location_id=HOME,
            began_at=self._kept.now,
            expires_at=self._until(ttl_s),
            due=False,
            version=1,
            lines=lines,
        )
        self._kept.reservations[key] = reservation
        return reservation

    def _until(self, ttl_s: int) -> datetime:
        return self._kept.now + timedelta(seconds=ttl_s)


class Movements:
    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    async def append(self, movement: Movement, actor: str) -> MovementView:
        self._kept.movements.append(movement)
        return MovementView(**msgspec.structs.asdict(movement), actor=actor, created_at=self._kept.now)


class Locations:
    async def default(self) -> str:
        return HOME

    async def add(self, location_id: str, name: str) -> LocationView:
        raise AssertionError("told on Postgres")

    async def rename(self, location_id: str, name: str, expected_version: int | None) -> LocationView:
        raise AssertionError("told on Postgres")


class Work(Unit):
    def __init__(self, kept: Kept) -> None:
        super().__init__(kept.events)
        self.levels, self.reservations = Levels(kept), Reservations(kept)
        self.movements, self.locations = Movements(kept), Locations()


class Store:
    """Implements Transact and InventoryQueries; `transactions` counts how many were begun."""

    def __init__(self) -> None:
        self.kept = Kept()
        self.transactions = 0

    async def __call__(self, work: Callable[[Work], Awaitable[T]], /) -> T:
        self.transactions += 1
        trial = deepcopy(self.kept)
        result = await work(Work(trial))
        self.kept = trial
        return result

    async def available(self, skus: Sequence[str]) -> dict[str, int]:
        return {sku: self.kept.levels[HOME, sku].available for sku in skus if (HOME, sku) in self.kept.levels}

    async def levels(self, sku: str | None, location_id: str | None, page: PageRequest) -> Slice[LevelView]:
        return Slice([])

    async def movements(self, sku: str | None, page: PageRequest) -> Slice[MovementView]:
        return Slice([])

    async def reservation(self, reservation_id: str) -> ReservationView | None:
        return next((reservation_view(each) for each in self.kept.reservations.values() if each.id == reservation_id), None)

    async def locations(self, page: PageRequest) -> Slice[LocationView]:
        return Slice([])

    async def location(self, location_id: str) -> LocationView | None:
        return None
