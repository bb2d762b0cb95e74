"""The rows of sagas: how they are claimed, moved by compare-and-swap, and read. Time is the database's."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import msgspec

from shared.domain.context import Context, Principal
from shared.domain.errors import NotFound
from shared.domain.saga import Failure, Saga
from shared.infra.db.closing import XID, Swap
from shared.infra.db.statements import Reader, Row
from shared.infra.saga.instance import Instance, Move

CLAIM = """
with due as (
    select s.id, s.claimed_until is not null as orphaned
    from saga s join unnest($1::text[], $2::integer[]) as known (name, version) on (s.name, s.version) = (known.name, known.version)
    where s.ended_at is null and s.due_at <= now() and (s.claimed_until is null or s.claimed_until <= now())
      and ($3::text is null or s.id = $3)
    order by s.due_at limit $4 for update of s skip locked
)
update saga set token = token + 1, claimed_until = clock_timestamp() + $5::float8 * interval '1 second',
    attempts = attempts + due.orphaned::integer, updated_at = clock_timestamp()
from due where saga.id = due.id
returning saga.id, name, version, token, position, data, failure, attempts, wakes, orphaned, owner, correlation_id, traceparent,
    extract(epoch from clock_timestamp() - started_at)::float8 as age
"""

MOVING = """
moved as (  /* one by one: what was done is stored before the next step begins */
    update saga set position = $4, state = $5, data = $6, failure = $7, outcome = $8, attempts = $9,
        last_error = coalesce($10, last_error),
        due_at = case when $11::float8 is null then due_at
                      when wakes > $12 then clock_timestamp()
                      else clock_timestamp() + $11::float8 * interval '1 second' end,
        claimed_until = clock_timestamp() + $13::float8 * interval '1 second',
        ended_at = case when $5 in ('done', 'failed') then clock_timestamp() end,
        updated_at = clock_timestamp()
    where id = $1 and token = $2 and position = $3 and ended_at is null
    returning id, wakes
), noted as (
    insert into saga_step as s (saga_id, step, direction, state, error, ended_at)
    select id, n.step, n.direction, n.state, n.error, case when n.state <> 'sent' then clock_timestamp() end
    from moved, (values ($14::text, $15::text, $16::text, $17::text), ($18, $19, 'sent', null)) as n (step, direction, state, error)
    where n.step is not null
    on conflict (saga_id, step, direction) do update set state = excluded.state, error = excluded.error, ended_at = excluded.ended_at,
        attempts = s.attempts + (excluded.state = 'sent' and excluded.error is null)::integer
    returning step, attempts
)
"""
MOVED = f"select wakes, coalesce((select attempts from noted where step = $18), 0) as sends, {XID} from moved"  # noqa: S608 - a column list of ours
"""One write for everything that can happen: the row only moves for the owner (token) of that very step (position).

A wake-up that came since the owner last looked makes a saga that puts itself off due at once.
"""

READ = "select state, data, failure, outcome, name, version from saga where id = $1"


class LostClaim(Exception):
    """Somebody else owns the saga now: stop, silently."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An instance, and the context of the request that began it."""

    instance: Instance
    context: Context


@dataclass(frozen=True, slots=True)
class Stored:
    """A saga as somebody who does not own it sees it."""

    state: str
    data: Any
    failure: Failure | None
    outcome: str | None


class SagaStore:
    def __init__(self, database: Reader, sagas: Sequence[Saga[Any, Any]]) -> None:
        self._database = database
        self._sagas = {(saga.name, saga.version): saga for saga in sagas}
        self._names = [name for name, _ in self._sagas]
        self._versions = [version for _, version in self._sagas]

    async def claim(self, *, limit: int, claim_s: float, only: str | None = None) -> list[Claimed]:
        """Take due sagas that nobody holds, of definitions known here; raises their tokens."""
        since = monotonic()
        rows = await self._database.fetch(CLAIM, self._names, self._versions, only, limit, claim_s)
        return [self._claimed(row, since, claim_s) for row in rows]

    async def move(self, instance: Instance, move: Move) -> Row:
        """Committed at once. Answers the row's `wakes`, and in `sends` how often the step that is about to be called was sent; raises
        LostClaim."""
        swap = self.swap(instance, move)
        return swap.hear(await self._database.fetchrow(swap.alone, *swap.arguments))

    def swap(self, instance: Instance, move: Move) -> Swap:
        """The same for a unit of work, to be committed with the effect of a step."""
        arguments = (
            instance.id,
            instance.token,
            instance.position,
            move.position,
            move.state,
            _text(move.data),
            _text(move.failure),
            _text(move.outcome),
            move.attempts,
            move.error,
            move.delay_s,
            instance.wakes,
            move.claim_s,
            *((move.note.step, move.note.direction, move.note.state, move.note.error) if move.note else (None, None, None, None)),
            *((move.sent.step, move.sent.direction) if move.sent else (None, None)),
        )
        return Swap(MOVING, MOVED, arguments, LostClaim(instance.id))

    async def read(self, saga_id: str) -> Stored:
        row = await self._database.fetchrow(READ, saga_id)
        if row is None:
            raise NotFound("there is no such saga")
        saga = self._sagas[row["name"], row["version"]]
        return Stored(row["state"], msgspec.json.decode(row["data"], type=saga.state), _failure(row["failure"]), row["outcome"])

    def _claimed(self, row: Row, since: float, claim_s: float) -> Claimed:
        saga = self._sagas[row["name"], row["version"]]
        instance = Instance(
            id=row["id"],
            saga=saga,
            token=row["token"],
            position=row["position"],
            data=msgspec.json.decode(row["data"], type=saga.state),
            failure=_failure(row["failure"]),
            attempts=row["attempts"],
            wakes=row["wakes"],
            claim_ends=since + claim_s,
            gives_up_at=since + saga.give_up_after.total_seconds() - row["age"],
            orphaned=row["orphaned"],
        )
        kind, _, who = row["owner"].partition(":")
        principal = Principal(kind=kind, id=who)
        return Claimed(instance, _context(row["correlation_id"], row["traceparent"], row["id"], principal))


def _context(correlation_id: str, traceparent: str, saga_id: str, principal: Principal) -> Context:
    trace_id = traceparent.split("-")[1] if traceparent.count("-") == 3 else ""
    return Context(trace_id, traceparent, correlation_id, causation_id=saga_id, principal=principal)


def _failure(text: str | None) -> Failure | None:
    return None if text is None else msgspec.json.decode(text, type=Failure)


def _text(value: msgspec.Struct | None) -> str | None:
    """Facts of a failure may hold anything that an error was given: what JSON cannot say becomes text."""
    return None if value is None else msgspec.json.encode(value, enc_hook=str).decode()
