"""Reservations: claimed by their key, locked before any level, put further by compare-and-swap."""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Final

import msgspec

from modules.inventory.domain.reservation import HeldLine, Reservation, State, Step, changes_of
from modules.inventory.public import Line
from shared.domain.errors import NotFound, StaleVersion
from shared.infra.db.statements import Row
from shared.infra.db.unit_of_work import UnitOfWork

_COLUMNS: Final = "r.id, r.key, r.state, r.location_id, r.expires_at, r.began_at, r.expires_at <= statement_timestamp() as due, r.version"

_LINES: Final = """(
    select coalesce(json_agg(json_build_object('sku', n.sku, 'quantity', n.quantity, 'shipped', n.shipped) order by n.sku), '[]')::text
    from reservation_line n where n.reservation_id = r.id
)"""
_LINES_OF: Final = "select sku, quantity, shipped from reservation_line where reservation_id = $1 order by sku"

# reservation_key_key, reservation_pkey
_LOCK: Final = f"select {_COLUMNS}, {_LINES} from reservation r where r.key = $1 for update of r"  # noqa: S608 - constants of ours
_LOCK_ID: Final = f"select {_COLUMNS}, {_LINES} from reservation r where r.id = $1 for update of r"  # noqa: S608 - the same

# From the row as it was locked: the snapshot may be older. The first parameter is as for _LOCK.
_ADVANCE_BY_KEY: Final = f"""
with was as (
    select {_COLUMNS}, {_LINES} as lines from reservation r where r.key = $1 for update of r
),
moved as (
    update reservation r set state = change.next_state, version = r.version + 1
    from was join unnest($2::text[], $3::text[]) as change (state, next_state) on change.state = was.state
    where r.id = was.id
)
select * from was
"""  # noqa: S608 - the same

_BURY: Final = """
insert into reservation (id, key, state, location_id, expires_at)
select $1, $2, 'released', id, now() from stock_location where is_default
on conflict (key) do nothing
"""

# reservation_lapsing
_LAPSED: Final = f"""
select {_COLUMNS}, {_LINES} from reservation r
where r.state = 'held' and r.expires_at <= statement_timestamp()
order by r.expires_at limit $1 for update of r skip locked
"""  # noqa: S608 - the same

# reservation_lapsing, then reservation_line_pkey for each: EXISTS would become a join with all lines that there ever were.
_LAPSED_WITH: Final = """
select r.id from reservation r
where r.state = 'held' and r.expires_at <= statement_timestamp()
    and (select true from reservation_line n where n.reservation_id = r.id and n.sku = any($1) limit 1)
order by r.expires_at limit $2
"""

# reservation_pkey or reservation_lapsing
_LOCK_LAPSED: Final = f"""
select {_COLUMNS}, {_LINES} from reservation r
where r.id = any($1) and r.state = 'held' and r.expires_at <= statement_timestamp()
order by r.id for update of r
"""  # noqa: S608 - the same

_ADVANCE: Final = """
update reservation r set state = $3, version = r.version + 1
from unnest($1::text[], $2::bigint[]) as was (id, version)
where r.id = was.id and r.version = was.version
"""

_RENEW: Final = f"""
update reservation r
set state = 'held', began_at = now(), expires_at = now() + make_interval(secs => $2), version = r.version + 1
where r.id = $1
returning {_COLUMNS}
"""  # noqa: S608 - the same

_EXTEND: Final = f"""
update reservation r
set expires_at = greatest(r.expires_at, least(now() + make_interval(secs => $2), r.began_at + make_interval(secs => $3))),
    version = r.version + 1
where r.id = $1
returning {_COLUMNS}
"""  # noqa: S608 - the same

_SHIP: Final = """
with counted as (
    update reservation_line set shipped = shipped + $3 where reservation_id = $1 and sku = $2
)
update reservation set version = version + 1 where id = $1
"""

_lines: Final = msgspec.json.Decoder(tuple[HeldLine, ...])


@cache
def _claim(lines: int) -> str:
    """The reservation and its lines, unless the key is taken: then this waits for whoever took it to commit or to fail."""
    values = ", ".join(f"(${n}::text, ${n + 1}::bigint)" for n in range(4, 4 + 2 * lines, 2))
    return f"""
with claimed as (
    insert into reservation as r (id, key, state, location_id, expires_at)
    select $1, $2, 'held', id, now() + make_interval(secs => $3) from stock_location where is_default
    on conflict (key) do nothing
    returning {_COLUMNS}
),
lined as (
    insert into reservation_line (reservation_id, sku, quantity)
    select claimed.id, wanted.sku, wanted.quantity from claimed, (values {values}) as wanted (sku, quantity)
)
select * from claimed
"""  # noqa: S608 - the numbers of parameters are ours


class SqlReservations:
    """Implements Reservations."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def claim(self, reservation_id: str, key: str, lines: Sequence[Line], ttl_s: int) -> tuple[Reservation, bool]:
        values = chain.from_iterable((line.sku, line.quantity) for line in lines)
        row = await self._uow.fetchrow(_claim(len(lines)), reservation_id, key, float(ttl_s), *values)
        if row is None:
            return await self._taken(key), False
        return _reservation(row, tuple(HeldLine(line.sku, line.quantity) for line in lines)), True

    async def lock(self, key: str) -> Reservation | None:
        row = await self._uow.fetchrow(_LOCK, key)
        return None if row is None else await self._whole(row)

    async def advance_by_key(self, key: str, step: Step) -> Reservation | None:
        changes = changes_of(step)
        row = await self._uow.fetchrow(_ADVANCE_BY_KEY, key, list(changes), list(changes.values()))
        return None if row is None else await self._whole(row)

    async def lock_id(self, reservation_id: str) -> Reservation:
        row = await self._uow.fetchrow(_LOCK_ID, reservation_id)
        if row is None:
            raise NotFound("there is no such reservation")
        return await self._whole(row)

    async def lock_or_bury(self, reservation_id: str, key: str) -> Reservation:
        if (found := await self.lock(key)) is not None:
            return found
        await self._uow.execute(_BURY, reservation_id, key)
        return await self._taken(key)

    async def lapsed(self, limit: int) -> list[Reservation]:
        return [_with_lines(row) for row in await self._uow.fetch(_LAPSED, limit)]

    async def lapsed_with(self, skus: Sequence[str], limit: int) -> list[str]:
        return [row[0] for row in await self._uow.fetch(_LAPSED_WITH, list(skus), limit)]

    async def lock_lapsed(self, reservation_ids: Sequence[str]) -> list[Reservation]:
        return [_with_lines(row) for row in await self._uow.fetch(_LOCK_LAPSED, list(reservation_ids))]

    async def advance(self, reservations: Sequence[Reservation], state: State) -> None:
        ids, versions = [each.id for each in reservations], [each.version for each in reservations]
        if await self._uow.execute(_ADVANCE, ids, versions, state) < len(ids):
            raise StaleVersion("a reservation has changed meanwhile")

    async def renew(self, reservation: Reservation, ttl_s: int) -> Reservation:
        return await self._changed(reservation, _RENEW, float(ttl_s))

    async def extend(self, reservation: Reservation, ttl_s: int, cap_s: int) -> Reservation:
        return await self._changed(reservation, _EXTEND, float(ttl_s), float(cap_s))

    async def ship(self, reservation: Reservation, sku: str, quantity: int) -> None:
        await self._uow.execute(_SHIP, reservation.id, sku, quantity)

    async def _changed(self, reservation: Reservation, sql: str, *seconds: float) -> Reservation:
        row = await self._uow.fetchrow(sql, reservation.id, *seconds)
        if row is None:
            raise NotFound("there is no such reservation")
        return _reservation(row, reservation.lines)

    async def _whole(self, row: Row) -> Reservation:
        """Only `shipped` ever changes, and may have while this waited for the lock: the lines are from before it."""
        if row["state"] == "committed":
            return _reservation(row, tuple(HeldLine(*line) for line in await self._uow.fetch(_LINES_OF, row["id"])))
        return _with_lines(row)

    async def _taken(self, key: str) -> Reservation:
        """The row that stands in the way of an insert. It has committed, and reservations are never deleted."""
        found = await self.lock(key)
        if found is None:
            raise LookupError(f"no reservation has the key {key}, and none could be made: is there a default location?")
        return found


def _with_lines(row: Row) -> Reservation:
    return _reservation(row, _lines.decode(row[8]))


def _reservation(row: Row, lines: tuple[HeldLine, ...]) -> Reservation:
    own, key, state, location_id, expires_at, began_at, due, version = row[:8]
    return Reservation(
        id=own,
        key=key,
        state=state,
        location_id=location_id,
        expires_at=expires_at,
        began_at=began_at,
        due=due,
        version=version,
        lines=lines,
    )
