"""Writing to a module's own log: one statement for all events of a transaction."""

from collections.abc import Mapping, Sequence
from typing import Final
from zlib import crc32

import msgspec

from shared.domain.context import current
from shared.domain.events import Event
from shared.domain.ids import new_id

SHARDS: Final = 64

_COLUMNS: Final = "event_id, type, version, key, shard, aggregate_version, payload, headers"
_WIDTH: Final = 8


def shard_of(key: str) -> int:
    """The shard of an aggregate. Stored with each event: changing this function would tear the events of a key apart."""
    return crc32(key.encode()) % SHARDS


def headers() -> Mapping[str, str]:
    """What an event or a task carries of the work that caused it."""
    context = current()
    found = {
        "traceparent": context.traceparent,
        "correlation": context.correlation_id,
        "causation": context.causation_id,
        "actor": context.principal.scope,
    }
    return {name: value for name, value in found.items() if value}


def insert(events: Sequence[tuple[Event, int]]) -> tuple[str, list[object]]:
    """The INSERT of `events`, each with its aggregate's version, and its parameters. It has to be the last statement before COMMIT:
    the ids are then drawn while the aggregates' rows are locked, so that their order is the order of commits."""
    carried = msgspec.json.encode(headers()).decode()
    arguments: list[object] = []
    for event, version in events:
        payload = msgspec.json.encode(event).decode()
        identity = (new_id("evt"), event.event_type, event.event_version, event.key, shard_of(event.key))
        arguments += (*identity, version, payload, carried)
    rows = (", ".join(f"${_WIDTH * row + column}" for column in range(1, _WIDTH + 1)) for row in range(len(events)))
    values = ", ".join(f"({row})" for row in rows)
    return f"insert into event ({_COLUMNS}) values {values}", arguments  # noqa: S608 - only places of parameters are formatted
