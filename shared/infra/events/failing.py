"""Events that could not be handled in their turn, kept as tasks: to be tried again, queued behind an earlier one, or dead."""

from dataclasses import dataclass
from typing import Final

import msgspec

from shared.domain.ids import new_id
from shared.infra.db.statements import Reader
from shared.infra.events.envelope import Envelope
from shared.infra.tasks.retry import delay_after
from shared.infra.telling import told

_INSERT: Final = """
insert into task (id, kind, key, state, payload, headers, due_at, attempts, last_error, ended_at)
select given.id, $1, given.key, given.state, given.payload::jsonb, given.headers::jsonb,
    clock_timestamp() + make_interval(secs => given.delay), given.attempts, given.error,
    case when given.state = 'dead' then clock_timestamp() end
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::float8[], $8::integer[], $9::text[])
    with ordinality as given (id, key, state, payload, headers, delay, attempts, error, place)
order by place
"""


@dataclass(frozen=True, slots=True)
class Carried:
    """An event that goes on as a task. Of one key, all but the first are `blocked` until their turn comes."""

    envelope: Envelope
    state: str
    delay_s: float = 0.0
    attempts: int = 0
    error: str | None = None

    @classmethod
    def failed(cls, envelope: Envelope, error: Exception) -> "Carried":
        delay = delay_after(1)
        return cls(envelope, "dead" if delay is None else "ready", delay or 0.0, 1, told(error))

    @classmethod
    def dead(cls, envelope: Envelope, reason: str) -> "Carried":
        return cls(envelope, "dead", error=reason)


async def carry(reader: Reader, kind: str, carried: list[Carried]) -> None:
    """Store them in the order of the list; their `seq` is then the order in which those of one key will be handled."""
    if not carried:
        return
    envelopes = [one.envelope for one in carried]
    await reader.fetch(
        _INSERT,
        kind,
        [new_id("tsk") for _ in carried],
        [envelope.key for envelope in envelopes],
        [one.state for one in carried],
        [msgspec.json.encode(envelope).decode() for envelope in envelopes],
        [bytes(envelope.headers).decode() for envelope in envelopes],
        [one.delay_s for one in carried],
        [one.attempts for one in carried],
        [one.error for one in carried],
    )
