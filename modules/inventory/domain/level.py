"""The stock level of one SKU at one location, and what its changes are worth telling."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from modules.inventory.public import InsufficientStock, LevelChanged, LevelEvent, Shortage, StockBackIn, StockLow, StockOut

LOW_STOCK: Final = 5
"""From how many available pieces down a SKU is low."""


class Level(msgspec.Struct, frozen=True):
    """`reserved` is held for a while, `allocated` is promised to orders; both are part of what is on hand."""

    location_id: str
    sku: str
    on_hand: int
    allocated: int
    reserved: int
    version: int

    @property
    def available(self) -> int:
        return self.on_hand - self.allocated - self.reserved


class Shift(msgspec.Struct, frozen=True):
    """By how much each part of a level is to change."""

    location_id: str
    sku: str
    on_hand: int = 0
    allocated: int = 0
    reserved: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.allocated - self.reserved


class Change(msgspec.Struct, frozen=True):
    """A level before and after."""

    before: Level
    after: Level

    def events(self) -> list[LevelEvent]:
        """The new level, and the thresholds that it has crossed."""
        after, was, now = self.after, self.before.available, self.after.available
        events: list[LevelEvent] = [
            LevelChanged(
                sku=after.sku,
                location_id=after.location_id,
                on_hand=after.on_hand,
                allocated=after.allocated,
                reserved=after.reserved,
                version=after.version,
            )
        ]
        if was > 0 and now == 0:
            events.append(StockOut(sku=after.sku, location_id=after.location_id))
        elif was > LOW_STOCK >= now:
            events.append(StockLow(sku=after.sku, location_id=after.location_id, available=now))
        elif was == 0 and now > 0:
            events.append(StockBackIn(sku=after.sku, location_id=after.location_id, available=now))
        return events


def merged(shifts: Iterable[Shift]) -> list[Shift]:
    """One shift per level, in the order in which levels are locked."""
    sums: dict[tuple[str, str], Shift] = {}
    for shift in shifts:
        place = shift.location_id, shift.sku
        so_far = sums.get(place, Shift(*place))
        sums[place] = Shift(*place, so_far.on_hand + shift.on_hand, so_far.allocated + shift.allocated, so_far.reserved + shift.reserved)
    return [sums[place] for place in sorted(sums)]


class Short(Exception):
    """Not all of the shifts were possible, and none was made; `levels` is what was found, by (location, SKU)."""

    def __init__(self, levels: Mapping[tuple[str, str], Level]) -> None:
        super().__init__("not enough in stock")
        self.levels = levels

    def refusal(self, wanted: Iterable[Shift], freed: Iterable[Shift] = ()) -> InsufficientStock:
        """What to tell whoever wanted these shifts; `freed` was to become available by the same change."""
        available = {place: level.available for place, level in self.levels.items()}
        for shift in freed:
            place = shift.location_id, shift.sku
            available[place] = available.get(place, 0) + shift.available
        lines = [
            Shortage(sku=shift.sku, requested=-shift.available, available=available.get((shift.location_id, shift.sku), 0))
            for shift in wanted
        ]
        short = [msgspec.structs.asdict(line) for line in lines if line.available < line.requested]
        return InsufficientStock("there is not enough in stock", lines=short)
