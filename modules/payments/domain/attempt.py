"""An attempt at the provider: written down before the call, settled by whoever hears first how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from shared.domain.money import Money


class Operation(StrEnum):
    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


class News(StrEnum):
    """What a provider may say about an attempt. PROCESSING: received, not decided. REVERSED: succeeded, and then undone."""

    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    REVERSED = "reversed"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    news: News
    failure: str | None = None
    action_url: str | None = None


class AttemptStatus(StrEnum):
    PENDING = "pending"
    UNKNOWN = "unknown"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    REVERSED = "reversed"


OPEN: Final = frozenset({AttemptStatus.PENDING, AttemptStatus.UNKNOWN, AttemptStatus.REQUIRES_ACTION})

_S = AttemptStatus
PROGRESS: Final[Mapping[tuple[AttemptStatus, News], AttemptStatus]] = {
    (_S.PENDING, News.PROCESSING): _S.UNKNOWN,
    (_S.PENDING, News.REQUIRES_ACTION): _S.REQUIRES_ACTION,
    (_S.PENDING, News.SUCCEEDED): _S.SUCCEEDED,
    (_S.PENDING, News.REFUSED): _S.REFUSED,
    (_S.PENDING, News.REVERSED): _S.REVERSED,
    (_S.UNKNOWN, News.REQUIRES_ACTION): _S.REQUIRES_ACTION,
    (_S.UNKNOWN, News.SUCCEEDED): _S.SUCCEEDED,
    (_S.UNKNOWN, News.REFUSED): _S.REFUSED,
    (_S.UNKNOWN, News.REVERSED): _S.REVERSED,
    (_S.REQUIRES_ACTION, News.SUCCEEDED): _S.SUCCEEDED,
    (_S.REQUIRES_ACTION, News.REFUSED): _S.REFUSED,
    (_S.SUCCEEDED, News.REVERSED): _S.REVERSED,
}
"""News that is missing here comes too late or twice, and changes nothing: providers repeat themselves and overtake."""

ONLY_FOR: Final[Mapping[News, Operation]] = {News.REQUIRES_ACTION: Operation.AUTHORIZE, News.REVERSED: Operation.REFUND}


@dataclass(slots=True)
class Attempt:
    """`id` is the provider's idempotency key; `key` is the caller's. A refund is an attempt with a reason."""

    id: str
    intent_id: str
    operation: Operation
    amount: Money
    key: str | None = None
    payment_method: str | None = None
    reason: str | None = None
    status: AttemptStatus = AttemptStatus.PENDING
    failure: str | None = None
    version: int = 1

    @property
    def open(self) -> bool:
        return self.status in OPEN

    @property
    def undecided(self) -> bool:
        """Whether the provider has yet to say anything that somebody could act on."""
        return self.status in (AttemptStatus.PENDING, AttemptStatus.UNKNOWN)

    def hear(self, outcome: Outcome) -> bool:
        """Take in what the provider says; answers whether that was news."""
        if ONLY_FOR.get(outcome.news, self.operation) is not self.operation:
            return False
        status = PROGRESS.get((self.status, outcome.news))
        if status is None:
            return False
        self.status, self.version = status, self.version + 1
        self.failure = (outcome.failure or "refused") if status in (AttemptStatus.REFUSED, AttemptStatus.REVERSED) else None
        return True
