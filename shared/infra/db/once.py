"""HTTP idempotency in the transaction that does the work: an open transaction is the mark of being in flight."""

from datetime import timedelta
from hashlib import blake2b
from typing import Any, Final

import msgspec

from shared.domain.once import AlreadyDone, Answer, AnswerTooLarge, InFlight, KeyReused, Once, Pending
from shared.infra.db.retention import Retention
from shared.infra.db.statements import Row
from shared.infra.db.unit_of_work import UnitOfWork

MAX_BODY: Final = 65_536

_CLAIM: Final = "select * from idempotency_claim($1, $2, $3)"
_STORE: Final = """
insert into idempotency_key (scope, key, fingerprint, status, body, headers, saga_id, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(days => $8))
"""
# idempotency_key_expires
_FORGET: Final = """
with gone as (
    delete from idempotency_key where ctid = any(array(
        select ctid from idempotency_key where expires_at < now() - $2::interval order by expires_at limit $1))
    returning 1
) select count(*) from gone
"""
KEYS: Final = Retention("idempotency keys", timedelta(0), _FORGET)
"""Each key says itself how long it is kept: a day, or 30 where money or stock moves."""

_headers: Final = msgspec.json.Decoder(tuple[tuple[str, str], ...])


async def claim(unit: UnitOfWork, wanted: Once) -> None:
    """The transaction's first statement. Raises AlreadyDone, InFlight or KeyReused; else the key is this transaction's."""
    row = await unit.fetchrow(_CLAIM, _lock(wanted), wanted.scope, wanted.key)
    if row is None:
        raise AssertionError("a left join on one row answers one row")
    if row["fingerprint"] is not None:
        raise AlreadyDone(_answer(row, wanted))
    if not row["mine"]:
        raise InFlight("a request with this Idempotency-Key is still running", retry_after=1)


def store(unit: UnitOfWork, wanted: Once, result: object) -> None:
    """Keep the answer, or the id of the flow that will have one, with the work itself."""
    if isinstance(result, Pending):
        answer: tuple[object, ...] = (None, None, None, result.saga_id)
    else:
        rendered = wanted.render(result)
        if len(rendered.body) > MAX_BODY:
            raise AnswerTooLarge(f"an answer of {len(rendered.body)} bytes cannot be kept", limit=MAX_BODY)
        answer = (rendered.status, rendered.body, msgspec.json.encode(rendered.headers).decode(), None)
    unit.append(_STORE, wanted.scope, wanted.key, wanted.fingerprint, *answer, wanted.keep_days)


def _answer(row: Row, wanted: Once) -> Answer:
    if row["fingerprint"] != wanted.fingerprint:
        raise KeyReused("this Idempotency-Key was used with another request")
    if row["saga_id"] is None:
        return Answer(row["status"], row["body"], _headers.decode(row["headers"]))
    if row["outcome"] is None:
        raise InFlight("what this Idempotency-Key began is still under way", retry_after=1, operation_id=row["saga_id"])
    outcome: Any = msgspec.json.decode(row["outcome"], type=wanted.outcome or Any)
    return wanted.render(outcome)


def _lock(wanted: Once) -> int:
    """A collision of two keys would only make one of them wait."""
    return int.from_bytes(blake2b(f"{wanted.scope}\0{wanted.key}".encode(), digest_size=8).digest(), "big", signed=True)
