"""Refusals as RFC 9457 problem documents: which HTTP status a kind of error has, and how it is written."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from shared.api.refusals import BodyTooLarge, Fault, InternalError, MethodNotAllowed, Refusal, RouteNotFound, SlowRequest
from shared.domain.context import current
from shared.domain.errors import (
    Conflict,
    Declined,
    DomainError,
    Forbidden,
    NotFound,
    PreconditionMissing,
    RuleViolated,
    StaleVersion,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1

STATUSES: Final[Mapping[type[DomainError], int]] = {
    Unauthenticated: 401,
    Declined: 402,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    StaleVersion: 412,
    RuleViolated: 422,
    PreconditionMissing: 428,
    TooManyAttempts: 429,
    Unavailable: 503,
    DomainError: 422,
}


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A problem document; a problem type may add members of its own, and its page names them."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    trace_id: str
    retryable: bool
    errors: list[Fault] | msgspec.UnsetType = msgspec.UNSET


def status_of(kind: type[DomainError]) -> int:
    """The HTTP status of a kind of error: its own at the edge, else that of its nearest ancestor in the table."""
    if issubclass(kind, Refusal):
        return kind.status
    return next(STATUSES[ancestor] for ancestor in kind.__mro__ if ancestor in STATUSES)


class Rendered(msgspec.Struct, frozen=True):
    """A problem ready to send."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class ProblemWriter:
    """Writes problems whose `type` is a page below `public_url`."""

    def __init__(self, public_url: str) -> None:
        self._pages = f"{public_url.rstrip('/')}/problems/"

    def write(self, error: DomainError, *, instance: str, trace_id: str) -> Rendered:
        """The log line of the request names the problem, too."""
        current().log["problem"] = error.code
        status = status_of(type(error))
        document = {
            "type": self._pages + error.code,
            "title": error.title,
            "status": status,
            "detail": error.detail,
            "instance": instance,
            "code": error.code,
            "trace_id": trace_id,
            "retryable": error.retryable,
        }
        for name, fact in error.facts.items():
            document.setdefault(name, fact)
        body = msgspec.json.encode(document)
        return Rendered(status, ((b"content-type", MEDIA_TYPE.encode()), *_headers(error, status)), body)


def _headers(error: DomainError, status: int) -> Iterator[tuple[bytes, bytes]]:
    if status == 401:
        yield b"www-authenticate", b'Bearer realm="tenon"'
    if status in (429, 503) or error.retryable:
        yield b"retry-after", str(error.facts.get("retry_after", RETRY_AFTER_S)).encode()
    if isinstance(error, SlowRequest):
        yield b"connection", b"close"
    if isinstance(error, MethodNotAllowed):
        yield b"allow", str(error.facts["allow"]).encode()


def from_framework(status: int, headers: Mapping[str, str]) -> DomainError:
    """The problem that stands for an HTTP exception of the framework (routing is the only thing left to it)."""
    if status == 404:
        return RouteNotFound("no route has this path")
    if status == 405:
        allow = ", ".join(sorted(name.strip() for name in headers.get("allow", "").split(",")))
        return MethodNotAllowed(f"this path knows {allow}", allow=allow)
    if status == 413:
        return BodyTooLarge("the body is larger than 1 MiB")
    if status < 500:
        return Refusal("the request could not be understood")
    return InternalError("something unexpected happened; it was logged under the trace_id")


def catalogue(declared: Iterable[type[DomainError]]) -> dict[str, list[type[DomainError]]]:
    """Every problem type by its code: those of the product, and the `declared` ones.

    One code means one thing: two modules may each have a class for it, if title and status are the same.
    """
    kinds: dict[str, list[type[DomainError]]] = {}
    ours = (kind for kind in _descendants(DomainError) if kind.__module__.startswith(("shared.", "modules.")))
    for kind in dict.fromkeys((*ours, *declared)):
        if "code" not in vars(kind):
            continue
        sharing = kinds.setdefault(kind.code, [])
        sharing.append(kind)
        known = sharing[0]
        if (known.title, status_of(known)) != (kind.title, status_of(kind)):
            raise ValueError(
                f"{known.__module__}.{known.__qualname__} has the code {kind.code} too, as {kind.__module__}.{kind.__qualname__}"
            )
    return dict(sorted(kinds.items()))


def _descendants(kind: type[Any]) -> Iterator[type[Any]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _descendants(child)
