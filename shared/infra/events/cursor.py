"""One subscription's place in a publisher's log, and what lies after it.

The place is a snapshot, not a number. What came between two snapshots is a window: all events of the transactions that the
later one sees and the earlier one did not, in the order of their ids. Ids alone lose what commits late, and xids alone
disorder the events of one aggregate; see EVENTS.
"""

from dataclasses import dataclass
from typing import Any, Final

from shared.infra.db.statements import Reader, Row
from shared.infra.events.envelope import Envelope
from shared.infra.events.registry import Consumer

Snapshot = tuple[int, int, tuple[int, ...]]

SUSPECTS: Final = 500
"""After a crash in the middle of a batch, so many events pass one by one: the most that a batch can hold."""

FLOOR_EVERY_S: Final = 10
TAKEN_FOR_MS: Final = 500
"""A younger mark of somebody else, on a row that nobody has locked, is taken for one who is about to lock it."""

# Marking. Its commit does not wait for the disk: a mark that dies with the server marks nothing that a crash of ours has left.
# It only finds out whether a batch is worth while, so its snapshot may be older than the row that it reads. Each probe of the log
# asks for an order that only the index on xid has: a plan made while the log was empty is good for a full one, too.
_MARK: Final = """
with held as materialized (
    select * from cursor where subscription = $1 and publisher = $2 and paused_at is null for update skip locked
), seen as materialized (
    select held.*,
        until is not null or reported_at = '-infinity'
        or (select true from {log} where xid >= pg_snapshot_xmax(consumed) and type = any($4)
            and shard % shard_groups = shard_group order by xid limit 1) is true
        or (select true from pg_snapshot_xip(consumed) as open cross join lateral (
            select from {log} where xid between open and open and type = any($4) and shard % shard_groups = shard_group order by xid limit 1
        ) ended limit 1) is true
        or (reported_at < clock_timestamp() - make_interval(secs => {floor_every}) and
            (select true from {log} where xid >= pg_snapshot_xmax(consumed) order by xid limit 1) is true) as due,
        batch is not null and batch <> $3 and batch_at > clock_timestamp() - make_interval(secs => {taken_for} / 1000.0) as taken
    from held
), marked as (
    update cursor set batch = $3, batch_at = clock_timestamp(), suspects = case when chosen.batch is null then cursor.suspects else $5 end
    from (select * from seen where due and not taken order by reported_at limit 1) chosen
    where (cursor.subscription, cursor.publisher, cursor.shard_group) = (chosen.subscription, chosen.publisher, chosen.shard_group)
    returning cursor.shard_group, cursor.suspects, chosen.batch as left_behind
)
select (select count(*) from cursor where subscription = $1 and publisher = $2) as groups,
    (select count(*) from cursor where subscription = $1 and publisher = $2 and paused_at is null)
        > (select count(*) from seen where not taken) as contended,
    (select count(*) from seen where due) > 1 as more, marked.*, set_config('synchronous_commit', 'off', true)
from (values (1)) one left join marked on true
"""

_LOCK: Final = """
select shard_group, shard_groups, consumed, until, last_id, window_end, suspects, suspect_id, suspect_runs,
    reported_at < clock_timestamp() - make_interval(secs => {floor_every}) as unreported, set_config('enable_seqscan', 'off', true)
from cursor where subscription = $1 and publisher = $2 and shard_group = $3 and batch = $4 and paused_at is null
for update skip locked
"""

_COLUMNS: Final = "id, event_id, type, version, key, aggregate_version, created_at, headers, payload"
_WAITING: Final = """exists (select from task where kind = $2 and task.key = e.key and task.key <> ''
    and state in ('ready', 'claimed', 'blocked', 'dead')) as behind"""
_WANTED: Final = "type = any($3) and shard % $4 = $5"

# A statement after the one that locked: there, the snapshot could be older than the place just read, and the place would go back.
_OPEN: Final = """
select w.until, found.* from (select pg_current_snapshot() as until) w left join lateral (
    select {columns}, {waiting} from (
        select * from {log} where xid >= pg_snapshot_xmax($1) and xid < pg_snapshot_xmax(w.until)
        union all
        select * from {log} where xid = any(array(select pg_snapshot_xip($1)))
    ) e where {wanted} and pg_visible_in_snapshot(xid, w.until) order by id limit $6
) found on true
"""

_WINDOW_END: Final = """
select max(id) from (
    select id, xid, type, shard from {log} where xid >= pg_snapshot_xmax($1) and xid < pg_snapshot_xmax($2)
    union all
    select id, xid, type, shard from {log} where xid = any(array(select pg_snapshot_xip($1)))
) e where pg_visible_in_snapshot(xid, $2)
"""

# The same window by its ids: its xids would be read again for every batch.
_CONTINUE: Final = """
select {columns}, {waiting} from {log} e where id > $7 and id <= $8 and {wanted}
    and pg_visible_in_snapshot(xid, $9) and not pg_visible_in_snapshot(xid, $1) order by id limit $6
"""

_ADVANCE: Final = """
update cursor set consumed = $4, until = $5, last_id = $6, window_end = $7, suspects = $8, suspect_id = $9, suspect_runs = $10,
    batch = case when $11 then null else batch end, batch_at = case when $11 then null else batch_at end,
    reported_at = case when $12 then clock_timestamp() else reported_at end, updated_at = clock_timestamp()
where subscription = $1 and publisher = $2 and shard_group = $3
"""

_FORGET: Final = "update cursor set batch = null, batch_at = null where subscription = $1 and publisher = $2 and batch = $3"


class NoCursor(Exception):
    """A subscription that was declared and never migrated would hear nothing, and nobody would notice."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a look found. `group` is None where there is nothing to do; `contended`: somebody else may be at it."""

    contended: bool
    more: bool
    group: int | None
    suspicious: bool
    left_behind: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor's row, locked. `until` is the open window's end, of which everything up to `last_id` is done."""

    group: int
    groups: int
    consumed: Snapshot
    until: Snapshot | None
    last_id: int
    window_end: int | None
    suspects: int
    suspect_id: int | None
    suspect_runs: int
    unreported: bool


@dataclass(frozen=True, slots=True)
class Window:
    """Its next events, at most as many as asked for, each with whether others of its key are still waiting.

    `end` is the id of its last event; `whole` says that nothing comes after these.
    """

    until: Snapshot
    end: int
    events: list[tuple[Envelope, bool]]
    whole: bool


class Cursor:
    """The statements of one consumer on its own row and on the publisher's log."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._identity = (consumer.subscription.id, consumer.subscription.publisher)
        publisher = consumer.subscription.publisher  # a module's name, checked by the registry: the one identifier formatted
        words = {"log": f"{publisher}.event", "columns": _COLUMNS, "waiting": _WAITING, "wanted": _WANTED}
        self._mark = _MARK.format(**words, floor_every=FLOOR_EVERY_S, taken_for=TAKEN_FOR_MS)
        self._lock = _LOCK.format(floor_every=FLOOR_EVERY_S)
        self._open, self._continue, self._window_end = _OPEN.format(**words), _CONTINUE.format(**words), _WINDOW_END.format(**words)
        self._ack = f"select {publisher}.event_ack($1, $2, $3)"

    async def mark(self, reader: Reader, token: str) -> Mark:
        """Sign for the next batch, so that a process that dies in it leaves a trace."""
        row = await reader.fetchrow(self._mark, *self._identity, token, self._consumer.types, SUSPECTS)
        if row is None:
            raise AssertionError("a left join on one row answers one row")
        if row["groups"] == 0:
            raise NoCursor(f"subscription {self._identity[0]} has no cursor: run `tenon db migrate`")
        return Mark(row["contended"], row["more"], row["shard_group"], bool(row["suspects"]), row["left_behind"] is not None)

    async def forget(self, reader: Reader, token: str) -> None:
        """Take the signature back: the batch ended, and without blame."""
        await reader.fetch(_FORGET, *self._identity, token)

    async def lock(self, reader: Reader, group: int, token: str) -> Place | None:
        """The row, until the transaction ends: the lease. None when somebody else has it, or has signed since."""
        row = await reader.fetchrow(self._lock, *self._identity, group, token)
        return None if row is None else Place(*row[:-1])

    async def window(self, reader: Reader, place: Place, most: int) -> Window:
        """At most `most` events of the open window, or of a new one."""
        common = (place.consumed, self._consumer.kind, self._consumer.types, place.groups, place.group, most + 1)
        if place.until is not None and place.window_end is not None:
            rows = await reader.fetch(self._continue, *common, place.last_id, place.window_end, place.until)
            return Window(place.until, place.window_end, [_read(row) for row in rows[:most]], len(rows) <= most)
        rows = await reader.fetch(self._open, *common)
        until: Snapshot = rows[0]["until"]
        if len(rows) > most:
            end = await reader.fetchval(self._window_end, place.consumed, until)
        else:
            end = rows[-1]["id"] or 0
        return Window(until, end, [_read(row) for row in rows[:most] if row["id"] is not None], len(rows) <= most)

    async def pass_window(self, reader: Reader, place: Place, until: Snapshot, *, suspects: int) -> None:
        """Everything up to `until` is done; tell the publisher now and then."""
        await self._store(reader, place, until, None, 0, None, suspects)
        if place.unreported:
            await reader.fetch(self._ack, self._identity[0], place.group, until[0])

    async def pass_to(self, reader: Reader, place: Place, window: Window, last_id: int, *, suspects: int) -> None:
        """Everything of the open window up to `last_id` is done."""
        await self._store(reader, place, place.consumed, window.until, last_id, window.end, suspects)
        if place.unreported:
            await reader.fetch(self._ack, self._identity[0], place.group, place.consumed[0])

    async def suspect(self, reader: Reader, place: Place, window: Window, event_id: int) -> int:
        """Count a run of the next event before it begins; answers how many that makes."""
        runs = place.suspect_runs + 1 if place.suspect_id == event_id else 1
        arguments = (place.consumed, window.until, place.last_id, window.end, place.suspects, event_id, runs, False, False)
        await reader.fetch(_ADVANCE, *self._identity, place.group, *arguments)
        return runs

    async def _store(
        self, reader: Reader, place: Place, consumed: Snapshot, until: Snapshot | None, last_id: int, end: int | None, suspects: int
    ) -> None:
        arguments: tuple[Any, ...] = (consumed, until, last_id, end, suspects, None, 0, True, place.unreported)
        await reader.fetch(_ADVANCE, *self._identity, place.group, *arguments)


def _read(row: Row) -> tuple[Envelope, bool]:
    return Envelope.of(row), row["behind"]
