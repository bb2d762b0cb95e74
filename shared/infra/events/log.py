"""Writing to a module's own log: all events of a transaction in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from zlib import crc32

import msgspec

from shared.domain.context import current
from shared.domain.events import Event
from shared.domain.ids import new_id
from shared.infra.db.closing import Addition

SHARDS: Final = 64

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


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as it was recorded, with the context of that moment: one transaction may handle events of many requests."""

    event: Event
    version: int
    headers: str = field(default_factory=headers)

    def row(self) -> tuple[object, ...]:
        event = self.event
        key = event.key
        payload = msgspec.json.encode(event).decode()
        return new_id("evt"), event.event_type, event.event_version, key, shard_of(key), self.version, payload, self.headers


def insert(events: Sequence[NewEvent]) -> Addition:
    """It has to be part of the last statement before COMMIT: the ids are then drawn while the aggregates' rows are locked, so
    that their order is the order of commits."""
    return Addition(_insert(len(events)), [value for event in events for value in event.row()])


@lru_cache(maxsize=128)
def _insert(events: int) -> str:
    places = (f"({', '.join(f'${_WIDTH * at + column}' for column in range(1, _WIDTH + 1))})" for at in range(events))
    return f"insert into event ({_COLUMNS}) values {', '.join(places)}"  # noqa: S608 - only places of parameters are formatted
