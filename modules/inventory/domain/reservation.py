"""Reservations: the states of a hold, from the first claim to its end."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from modules.inventory.domain.errors import HoldInvalid, MovementInvalid
from modules.inventory.domain.level import Shift
from modules.inventory.public import Line, ReservationKeyReused, ReservationReleasedAlready
from shared.domain.errors import IllegalTransition, StaleVersion

State = Literal["held", "committed", "expired", "released", "deallocated"]
Step = Literal["reserve", "extend", "expire", "release", "commit", "ship", "deallocate"]

MAX_LINES: Final = 100
MAX_HOLD_S: Final = 24 * 3600
"""The absolute cap: no extension moves the end of a hold further than this from its beginning."""

STEPS: Final[Mapping[Step, Mapping[State, State]]] = {
    "reserve": {"held": "held", "expired": "held", "committed": "committed"},
    "extend": {"held": "held"},
    "expire": {"held": "expired"},
    "release": {"held": "released", "expired": "released", "released": "released", "deallocated": "deallocated"},
    "commit": {"held": "committed", "expired": "committed", "committed": "committed"},
    "ship": {"committed": "committed"},
    "deallocate": {
        "held": "released",
        "expired": "released",
        "released": "released",
        "committed": "deallocated",
        "deallocated": "deallocated",
    },
}
"""Step, from: to. A pair that is missing is illegal; one that stays in its state does not change it."""


def changes_of(step: Step) -> Mapping[State, State]:
    """Where `step` leads to another state."""
    return {state: to for state, to in STEPS[step].items() if to != state}


class HeldLine(msgspec.Struct, frozen=True):
    """`shipped` of the quantity have left the house."""

    sku: str
    quantity: int
    shipped: int = 0


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """As it stands under its row lock. `due`: the database's clock has passed `expires_at`."""

    id: str
    key: str
    state: State
    location_id: str
    expires_at: datetime
    began_at: datetime
    due: bool
    version: int
    lines: tuple[HeldLine, ...]

    def expect(self, version: int | None) -> None:
        if version is not None and version != self.version:
            raise StaleVersion(f"the reservation is at version {self.version}")

    def after(self, step: Step) -> State:
        """The state that `step` leads to; raises IllegalTransition."""
        try:
            return STEPS[step][self.state]
        except KeyError:
            raise IllegalTransition(f"a reservation that is {self.state} cannot do this: {step}") from None

    def claimed_again(self, lines: Sequence[Line]) -> State:
        """A second `reserve` with the same key; raises ReservationReleasedAlready, ReservationKeyReused."""
        if self.state in ("released", "deallocated"):
            raise ReservationReleasedAlready("this reservation was released")
        if [(line.sku, line.quantity) for line in self.lines] != [(line.sku, line.quantity) for line in lines]:
            raise ReservationKeyReused("this key reserved other lines before")
        return self.after("reserve")

    def check_shipment(self, location_id: str, sku: str, quantity: int) -> None:
        """Raises IllegalTransition, MovementInvalid."""
        self.after("ship")
        left = sum(line.quantity - line.shipped for line in self.lines if line.sku == sku and self.location_id == location_id)
        if quantity > left:
            raise MovementInvalid(f"{left} pieces of {sku} at this location are allocated by the reservation and not yet shipped")

    def take(self) -> list[Shift]:
        """From available to reserved."""
        return [Shift(self.location_id, line.sku, reserved=line.quantity) for line in self.lines]

    def give_back(self) -> list[Shift]:
        """From reserved or allocated to available; nothing where nothing is held."""
        if self.state == "held":
            return [Shift(self.location_id, line.sku, reserved=-line.quantity) for line in self.lines]
        if self.state == "committed":
            open_lines = [line for line in self.lines if line.quantity > line.shipped]
            return [Shift(self.location_id, line.sku, allocated=line.shipped - line.quantity) for line in open_lines]
        return []

    def allocate(self) -> list[Shift]:
        """From reserved to allocated, or from available when the hold has expired."""
        held = 1 if self.state == "held" else 0
        return [Shift(self.location_id, line.sku, allocated=line.quantity, reserved=-held * line.quantity) for line in self.lines]


def lines_of(lines: Iterable[Line]) -> list[Line]:
    """One line per SKU, by SKU; raises HoldInvalid."""
    sums: dict[str, int] = {}
    for line in lines:
        if line.quantity < 1:
            raise HoldInvalid(f"the quantity of {line.sku} is not positive")
        sums[line.sku] = sums.get(line.sku, 0) + line.quantity
    if not 1 <= len(sums) <= MAX_LINES:
        raise HoldInvalid(f"a reservation has 1 to {MAX_LINES} different SKUs")
    return [Line(sku=sku, quantity=sums[sku]) for sku in sorted(sums)]


def check_ttl(ttl_s: int) -> None:
    if not 1 <= ttl_s <= MAX_HOLD_S:
        raise HoldInvalid(f"a reservation lasts 1 to {MAX_HOLD_S} seconds")
