"""The bodies that the inventory accepts."""

from typing import Annotated

from msgspec import Meta, Struct

from modules.inventory.domain.movement import Kind
from modules.inventory.domain.reservation import MAX_HOLD_S
from shared.api.types import Id, Line, Name, Quantity, Sku

Pieces = Annotated[int, Meta(ge=-1_000_000, le=1_000_000, description="Positive, unless an adjustment takes away", examples=[12])]
Seconds = Annotated[int, Meta(ge=1, le=MAX_HOLD_S, description="From now on", examples=[900])]


class LocationBody(Struct, forbid_unknown_fields=True, kw_only=True):
    name: Name


class CreateMovement(Struct, forbid_unknown_fields=True, kw_only=True):
    """Without `location_id` it is the default location. A transfer needs `to_location_id`, a shipment `reservation_id`."""

    kind: Kind
    sku: Sku
    quantity: Pieces
    reason: Line
    location_id: Id | None = None
    to_location_id: Id | None = None
    reservation_id: Id | None = None


class ReservedLine(Struct, forbid_unknown_fields=True, kw_only=True):
    sku: Sku
    quantity: Quantity


class CreateReservation(Struct, forbid_unknown_fields=True, kw_only=True):
    lines: Annotated[list[ReservedLine], Meta(min_length=1, max_length=100)]
    seconds: Seconds = 900


class ExtendReservation(Struct, forbid_unknown_fields=True, kw_only=True):
    seconds: Seconds
