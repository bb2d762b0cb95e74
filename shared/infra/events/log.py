"""Writing to a module's own log: an event becomes a row when it is recorded, and all rows of a transaction one statement."""

from collections.abc import Sequence
from typing import Final
from zlib import crc32

import msgspec

from shared.domain.context import current
from shared.domain.events import Event
from shared.domain.ids import new_id

SHARDS: Final = 64

EventRow = tuple[str, str, int, str, int, int, str, str]

_COLUMNS: Final = "event_id, type, version, key, shard, aggregate_version, payload, headers"
_WIDTH: Final = 8


def shard_of(key: str) -> int:
    """The shard of an aggregate. Stored with each event: changing this function would tear the events of a key apart."""
    return crc32(key.encode()) % SHARDS


def headers() -> str:
    """What an event or a task carries of the work that caused it, as JSON."""
    context = current()
    found = {
        "traceparent": context.traceparent,
        "correlation": context.correlation_id,
        "causation": context.causation_id,
        "actor": context.principal.scope,
    }
    return msgspec.json.encode({name: value for name, value in found.items() if value}).decode()


def row(event: Event, version: int) -> EventRow:
    """`event` as it is now, with the context as it is now: one transaction may handle events of many requests."""
    payload = msgspec.json.encode(event).decode()
    key = event.key
    return new_id("evt"), event.event_type, event.event_version, key, shard_of(key), version, payload, headers()


def insert(rows: Sequence[EventRow]) -> tuple[str, list[object]]:
    """One INSERT and its parameters. It has to be the last statement before COMMIT: the ids are then drawn while the
    aggregates' rows are locked, so that their order is the order of commits."""
    places = (f"({', '.join(f'${_WIDTH * at + column}' for column in range(1, _WIDTH + 1))})" for at in range(len(rows)))
    sql = f"insert into event ({_COLUMNS}) values {', '.join(places)}"  # noqa: S608 - only places of parameters are formatted
    return sql, [value for row in rows for value in row]
