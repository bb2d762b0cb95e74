"""Calls to systems that are not ours, as a port, and what can go wrong with them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from shared.domain.errors import RuleViolated, Unavailable

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Answer(msgspec.Struct, frozen=True):
    """What came back, whole; the names of `headers` are in lower case. What a status below 500 means is the caller's business."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Outbound(Protocol):
    """One service that we rely on. Its time ends with that of the work that calls it, and never inside a transaction."""

    async def request(
        self, method: str, url: str, *, body: bytes = b"", headers: Mapping[str, str] = NO_HEADERS, key: str | None = None
    ) -> Answer:
        """`key` is sent as Idempotency-Key: with one, or with a method that is idempotent, the call may be repeated.

        Raises Busy, CircuitOpen, DeadlineOver, Unreachable and AddressRefused, after which the target has done nothing, and
        Unanswered, Failing and AnswerRefused, after which it may have; OutboundInTransaction.
        """
        ...


class CircuitOpen(Unavailable):
    """A service that we rely on has failed too often; it is not asked again until it may have recovered."""

    code = "circuit_open"
    title = "A service that we rely on is down"


class DeadlineOver(Unavailable):
    """The time for this request was over before a service that we rely on could be asked."""

    code = "deadline_over"
    title = "Out of time"


class Unreachable(Unavailable):
    """No connection could be made to a service that we rely on."""

    code = "unreachable"
    title = "A service that we rely on cannot be reached"


class Unanswered(Unavailable):
    """A service that we rely on was asked and did not answer in time; it may have acted all the same."""

    code = "unanswered"
    title = "A service that we rely on did not answer"


class Failing(Unavailable):
    """A service that we rely on answered that it cannot do it now."""

    code = "failing"
    title = "A service that we rely on is failing"


class AnswerRefused(Unavailable):
    """A service that we rely on answered with something that is not read: too long, encoded, or a redirect."""

    code = "answer_refused"
    title = "A service that we rely on answered with something unusable"
    retryable = False


class AddressRefused(RuleViolated):
    """The URL does not lead to a public address of the Internet."""

    code = "address_refused"
    title = "The address is not allowed"
