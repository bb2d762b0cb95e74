"""A saga that has just begun: the row that its unit of work inserts, and the claim with which this process may run it at once."""

from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import Any

import msgspec

from shared.domain.context import current
from shared.domain.ids import new_id
from shared.domain.saga import Remote, Saga
from shared.infra.db.closing import Addition
from shared.infra.schema.saga_v1 import BEGIN_SAGA, SEND_FIRST

FIRST_TOKEN = 1
GRACE_S = 5.0
"""The first claim outlives the request's deadline by this much: time to store the answer of its last call."""


@dataclass(slots=True)
class Begun:
    """Claimed by the request that began it. What has no deadline begins it unclaimed (`claim_s` None): any worker may have it.

    `claim_ends` is a time of `time.monotonic()`, never later than the row's `claimed_until`. `taken` is a mutable mark,
    because tasks started meanwhile copy the context but share this object.
    """

    id: str
    saga: Saga[Any, Any]
    state: msgspec.Struct
    key: str
    claim_s: float | None
    claim_ends: float
    taken: bool = False

    def unclaim(self) -> None:
        """Whoever began it will not run it. To be called before the row is written."""
        self.claim_s = None

    @property
    def sent(self) -> str | None:
        """The remote step with which it begins: marked as sent from the beginning, where this process runs it at once."""
        first = self.saga.steps[0] if self.saga.steps else None
        return first.name if isinstance(first, Remote) and self.claim_s is not None else None

    def additions(self) -> Iterator[Addition]:
        context = current()
        data = msgspec.json.encode(self.state).decode()
        named = (self.id, self.saga.name, self.saga.version, self.key, context.principal.scope)
        yield Addition(BEGIN_SAGA, (*named, data, self.claim_s, context.correlation_id, context.traceparent))
        if self.sent is not None:
            yield Addition(SEND_FIRST, (self.id, self.sent))


_begun: ContextVar[Begun | None] = ContextVar("tenon_begun_saga", default=None)


def begin(saga: Saga[Any, Any], state: msgspec.Struct, key: str) -> Begun:
    """Called inside the unit of work; when that rolls back, nobody ever learns the id."""
    context = current()
    claim_s = None if context.deadline is None else context.seconds_left(0.0) + GRACE_S
    begun = Begun(new_id("sag"), saga, state, key, claim_s, monotonic() + (claim_s or 0.0))
    _begun.set(begun)
    return begun


def take(saga_id: str) -> Begun | None:
    """The claim of a saga that this task itself began; at most once, because two runners would share its token."""
    begun = _begun.get()
    if begun is None or begun.id != saga_id or begun.taken or begun.claim_s is None:
        return None
    begun.taken = True
    return begun
