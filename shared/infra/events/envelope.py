"""An event on its way to a subscriber: as it was stored, and what becomes of it for a handler."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self

import msgspec

from shared.domain.context import SYSTEM, Context, Principal
from shared.domain.events import Delivery
from shared.infra.db.repeats import watched
from shared.infra.db.statements import Row
from shared.infra.events.subscription import On
from shared.infra.telling import told
from shared.infra.tracing import traced


class Undeliverable(Exception):
    """No retry will help: the payload does not have the consumer's shape, or its version is not known."""


class Envelope(msgspec.Struct, frozen=True):
    """One row of a log; as JSON, the payload of a task that carries it."""

    id: int
    event_id: str
    type: str
    version: int
    key: str
    aggregate_version: int
    created_at: datetime
    headers: msgspec.Raw
    payload: msgspec.Raw

    @classmethod
    def of(cls, row: Row) -> Self:
        """From the columns of a log; both JSON values stay unread, because whether they can be read is a question of its own."""
        headers, payload = msgspec.Raw(row["headers"].encode()), msgspec.Raw(row["payload"].encode())
        id, event_id, type_, version = row["id"], row["event_id"], row["type"], row["version"]
        return cls(id, event_id, type_, version, row["key"], row["aggregate_version"], row["created_at"], headers, payload)

    def delivery(self, on: Mapping[str, On[Any]]) -> tuple[On[Any], Delivery[Any]]:
        """The reaction, and what it receives; raises Undeliverable."""
        reaction = on.get(self.type)
        if reaction is None:
            raise Undeliverable(f"{self.type}: the subscription does not listen to it any more")
        if reaction.version != self.version:
            raise Undeliverable(f"{self.type} has version {self.version}, and the subscriber knows {reaction.version}")
        try:
            data = msgspec.json.decode(self.payload, type=reaction.shape)
            headers = msgspec.json.decode(self.headers, type=dict[str, str])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Undeliverable(f"{self.type} v{self.version} does not fit {reaction.shape.__name__}: {told(error)}") from error
        known = (self.event_id, self.type, self.version, self.key, self.aggregate_version, self.created_at)
        return reaction, Delivery(*known, headers=headers, data=data)


@contextmanager
def handling(subscription: str, delivery: Delivery[Any]) -> Iterator[None]:
    """Around a handler: a span on the trace of the event, and a watch over its statements."""
    span = traced(
        f"process {delivery.type}",
        "consumer",
        messaging_system="tenon",
        messaging_operation_type="process",
        messaging_destination_name=delivery.type,
        messaging_consumer_group_name=subscription,
        messaging_message_id=delivery.event_id,
    )
    with span, watched(f"{delivery.type} at {subscription}"):
        yield


def carried_context(headers: Mapping[str, str], causation: str = "") -> Context:
    """The context of work that `headers` caused; `causation` is the id of what it handles now.

    The actor goes along, so that the trail of a change leads to who asked for it, but without any role: what was allowed to
    the request has been decided there.
    """
    traceparent = headers.get("traceparent", "")
    kind, _, id = headers.get("actor", SYSTEM.scope).partition(":")
    parts = traceparent.split("-")
    return Context(
        trace_id=parts[1] if len(parts) > 1 else "",
        traceparent=traceparent,
        correlation_id=headers.get("correlation", ""),
        causation_id=causation or headers.get("causation", ""),
        principal=Principal(kind=kind, id=id),
    )
