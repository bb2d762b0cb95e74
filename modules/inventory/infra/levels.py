"""Stock levels: one statement for every change of them, whatever asks for it."""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Final

from modules.inventory.domain.errors import LocationUnknown
from modules.inventory.domain.level import Change, Level, Shift, Short
from shared.infra.db.errors import constraint
from shared.infra.db.unit_of_work import UnitOfWork

_OPEN: Final = "insert into stock_level (location_id, sku, version) values ($1, $2, 0) on conflict do nothing"


@cache
def _shift(lines: int) -> str:
    """All or none of `lines` shifts, by scalar values: an array would hide from the planner how few they are.

    `locked` takes the row locks in the order of the key and sees what the last owner of each lock has left. The snapshot may
    be older than that, so only what was locked is judged, and the new values are made of it: from the snapshot's row even a
    legal change could offend the CHECKs of the table, which stand behind.
    """
    first, *others = [f"(${n}, ${n + 1}, ${n + 2}, ${n + 3}, ${n + 4})" for n in range(1, 5 * lines, 5)]
    types = ("text", "text", "bigint", "bigint", "bigint")
    typed = ", ".join(f"{name}::{kind}" for name, kind in zip(first[1:-1].split(", "), types, strict=True))
    return f"""
with wanted (location_id, sku, on_hand, allocated, reserved) as (
    values {", ".join([f"({typed})", *others])}
),
locked as materialized (
    select l.location_id, l.sku, l.on_hand, l.allocated, l.reserved, l.version
    from stock_level l join wanted w on l.location_id = w.location_id and l.sku = w.sku
    order by l.location_id, l.sku for update of l
),
judged as materialized (
    select count(*) = {lines} and coalesce(bool_and(
        k.on_hand + w.on_hand - k.allocated - w.allocated - k.reserved - w.reserved >= 0
    ), false) as possible
    from locked k join wanted w on k.location_id = w.location_id and k.sku = w.sku
),
shifted as (
    update stock_level l
    set on_hand = k.on_hand + w.on_hand, allocated = k.allocated + w.allocated, reserved = k.reserved + w.reserved, version = k.version + 1
    from locked k join wanted w on k.location_id = w.location_id and k.sku = w.sku
    where l.location_id = k.location_id and l.sku = k.sku and (select possible from judged)
    returning l.location_id, l.sku, l.on_hand, l.allocated, l.reserved, l.version
)
select k.location_id, k.sku, k.on_hand, k.allocated, k.reserved, k.version,
    s.on_hand, s.allocated, s.reserved, s.version
from locked k left join shifted s on s.location_id = k.location_id and s.sku = k.sku
order by k.location_id, k.sku
"""  # noqa: S608 - the numbers of parameters and lines are ours


class SqlLevels:
    """Implements Levels."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def open(self, places: Sequence[tuple[str, str]]) -> None:
        try:
            for place in sorted(places):
                await self._uow.execute(_OPEN, *place)
        except Exception as error:
            if constraint(error) == "stock_level_location_fkey":
                raise LocationUnknown("there is no such stock location") from error
            raise

    async def shift(self, shifts: Sequence[Shift]) -> list[Change]:
        arguments = chain.from_iterable((s.location_id, s.sku, s.on_hand, s.allocated, s.reserved) for s in shifts)
        rows = await self._uow.fetch(_shift(len(shifts)), *arguments)
        found = [Level(*row[:6]) for row in rows]
        if len(rows) < len(shifts) or any(row[9] is None for row in rows):
            raise Short({(level.location_id, level.sku): level for level in found})
        return [Change(before, Level(before.location_id, before.sku, *row[6:])) for before, row in zip(found, rows, strict=True)]
