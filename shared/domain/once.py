"""HTTP idempotency under the layering: all that the api and the unit of work share. Use cases know nothing of it."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from shared.domain.errors import Conflict, RuleViolated


@dataclass(frozen=True, slots=True)
class Answer:
    """A rendered response: what is stored and sent again. `body` is at most 64 KiB."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """A flow of several transactions has begun; its saga will end it, and the saga's outcome is then rendered."""

    saga_id: str


@dataclass(frozen=True, slots=True)
class Once:
    """`scope` = principal + route template. `render` turns what the transaction returned into the answer to keep.

    For a flow, the first transaction returns a `Pending`; a replay decodes what its saga stored at its end as `outcome`
    and renders that.
    """

    scope: str
    key: str
    fingerprint: bytes
    render: Callable[[Any], Answer]
    outcome: type | None = None
    keep_days: int = 1


class AlreadyDone(Exception):
    """Not an error: the work was done before, and this was the answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("already done")
        self.answer = answer


class InFlight(Conflict):
    """A request with this Idempotency-Key is still running; ask again after Retry-After. The fact `operation_id`, where there is
    one, says what to follow: `/v1/operations/{operation_id}`."""

    code = "idempotency_in_flight"
    title = "Still in progress"
    retryable = True


class KeyReused(RuleViolated):
    """This Idempotency-Key was used before with another request."""

    code = "idempotency_key_reused"
    title = "The idempotency key was used for something else"


class AnswerTooLarge(RuleViolated):
    """The answer is larger than what is kept under an Idempotency-Key, and so nothing was done. Send the request without a key,
    or in smaller parts. The fact `limit` is in bytes."""

    code = "answer_too_large"
    title = "The answer is too large to be kept"


once: ContextVar[Once | None] = ContextVar("tenon_once", default=None)
