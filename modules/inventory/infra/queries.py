"""Reads of the inventory: the SQL that returns the views, each with the index that it walks."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from modules.inventory.domain.reservation import HeldLine
from modules.inventory.domain.views import LevelView, LocationView, MovementView, ReservationView
from shared.domain.page import PageRequest, Slice, cut
from shared.infra.db.database import Database

_LEVEL: Final = "select sku, location_id, on_hand, allocated, reserved, on_hand - allocated - reserved, version from stock_level"
_MOVEMENT: Final = """
select id, kind, sku, quantity, location_id, to_location_id, reservation_id, reason, actor, created_at from stock_movement
"""
_LOCATION: Final = "select id, version, name, is_default, created_at from stock_location"

# stock_level_by_sku
_AVAILABLE: Final = """
select l.sku, l.on_hand - l.allocated - l.reserved
from stock_location d join stock_level l on l.location_id = d.id
where d.is_default and l.sku = any($1)
"""

# By SKU: stock_level_by_sku; of a location: stock_level_pkey; both: one row of it.
_LEVELS: Final[Mapping[tuple[bool, bool, bool], str]] = {
    (False, False, False): f"{_LEVEL} order by sku, location_id limit $1",
    (False, False, True): f"{_LEVEL} where (sku, location_id) > ($2, $3) order by sku, location_id limit $1",
    (True, False, False): f"{_LEVEL} where sku = $2 order by sku, location_id limit $1",
    (True, False, True): f"{_LEVEL} where sku = $2 and (sku, location_id) > ($3, $4) order by sku, location_id limit $1",
    (False, True, False): f"{_LEVEL} where location_id = $2 order by location_id, sku limit $1",
    (False, True, True): f"{_LEVEL} where location_id = $2 and (sku, location_id) > ($3, $4) order by location_id, sku limit $1",
    (True, True, False): f"{_LEVEL} where sku = $2 and location_id = $3 limit $1",
    (True, True, True): f"{_LEVEL} where sku = $2 and location_id = $3 and (sku, location_id) > ($4, $5) limit $1",
}
"""By whether a SKU is given, whether a location is, whether after some level."""

# stock_movement_pkey, stock_movement_by_sku, both backwards. Both keys are compared together, so that no guess at how often a SKU moves
# leads to the index of the other.
_MOVEMENTS: Final = f"{_MOVEMENT} where id < $2 order by id desc limit $1"
_MOVEMENTS_OF: Final = f"{_MOVEMENT} where sku >= $3 and (sku, id) < ($3, $2) order by sku desc, id desc limit $1"

# stock_location_pkey
_LOCATIONS: Final = f"{_LOCATION} order by id limit $1"
_LOCATIONS_AFTER: Final = f"{_LOCATION} where id > $2 order by id limit $1"
_LOCATION_OF: Final = f"{_LOCATION} where id = $1"

# reservation_pkey, reservation_line_pkey
_RESERVATION: Final = """
select r.id, r.version, r.state, r.location_id, r.expires_at, r.began_at, (
    select coalesce(json_agg(json_build_object('sku', n.sku, 'quantity', n.quantity, 'shipped', n.shipped) order by n.sku), '[]')::text
    from reservation_line n where n.reservation_id = r.id
)
from reservation r where r.id = $1
"""

_lines: Final = msgspec.json.Decoder(list[HeldLine])


class SqlInventoryQueries:
    """Implements InventoryQueries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def available(self, skus: Sequence[str]) -> dict[str, int]:
        return {row[0]: row[1] for row in await self._database.fetch(_AVAILABLE, list(skus))}

    async def levels(self, sku: str | None, location_id: str | None, page: PageRequest) -> Slice[LevelView]:
        sql = _LEVELS[sku is not None, location_id is not None, page.after is not None]
        given = [each for each in (sku, location_id) if each is not None]
        rows = await self._database.views(LevelView, sql, page.limit + 1, *given, *(page.after or ()))
        return cut(rows, page, lambda view: (view.sku, view.location_id))

    async def movements(self, sku: str | None, page: PageRequest) -> Slice[MovementView]:
        sql, given = (_MOVEMENTS, ()) if sku is None else (_MOVEMENTS_OF, (sku,))
        rows = await self._database.views(MovementView, sql, page.limit + 1, page.before, *given)
        return cut(rows, page, lambda view: (view.id,))

    async def reservation(self, reservation_id: str) -> ReservationView | None:
        row = await self._database.fetchrow(_RESERVATION, reservation_id)
        if row is None:
            return None
        own, version, state, location_id, expires_at, began_at, lines = row
        return ReservationView(own, version, state, location_id, expires_at, began_at, _lines.decode(lines))

    async def locations(self, page: PageRequest) -> Slice[LocationView]:
        sql = _LOCATIONS_AFTER if page.after else _LOCATIONS
        rows = await self._database.views(LocationView, sql, page.limit + 1, *(page.after or ()))
        return cut(rows, page, lambda view: (view.id,))

    async def location(self, location_id: str) -> LocationView | None:
        return await self._database.view(LocationView, _LOCATION_OF, location_id)
