"""Stock movements: why the quantity on hand changes. Nothing else may change it."""

from typing import Final, Literal

import msgspec

from modules.inventory.domain.errors import MovementInvalid
from modules.inventory.domain.level import Shift

Kind = Literal["received", "adjusted", "transferred", "shipped", "returned", "damaged"]

INBOUND: Final = frozenset({"received", "returned"})


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """`quantity` is positive, except that an adjustment may take away.

    `to_location_id` is where a transfer goes; `reservation_id` the allocation that a shipment uses up.
    """

    id: str
    kind: Kind
    sku: str
    quantity: int
    location_id: str
    reason: str
    to_location_id: str | None = None
    reservation_id: str | None = None

    def check(self) -> None:
        """Raises MovementInvalid."""
        if self.quantity == 0 or (self.quantity < 0 and self.kind != "adjusted"):
            raise MovementInvalid("the quantity is positive; only an adjustment may be negative")
        if (self.to_location_id is not None) != (self.kind == "transferred"):
            raise MovementInvalid("to_location_id belongs to a transfer, and a transfer needs it")
        if self.to_location_id == self.location_id:
            raise MovementInvalid("a transfer goes to another location")
        if (self.reservation_id is not None) != (self.kind == "shipped"):
            raise MovementInvalid("reservation_id belongs to a shipment, and a shipment needs it")

    def shifts(self) -> list[Shift]:
        """What it does to the levels."""
        if self.kind in INBOUND or self.kind == "adjusted":
            return [Shift(self.location_id, self.sku, on_hand=self.quantity)]
        out = Shift(self.location_id, self.sku, on_hand=-self.quantity)
        if self.kind == "shipped":
            return [msgspec.structs.replace(out, allocated=-self.quantity)]
        if self.to_location_id is not None:
            return [out, Shift(self.to_location_id, self.sku, on_hand=self.quantity)]
        return [out]
