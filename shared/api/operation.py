"""One operation of the API: everything that its route, its checks and its documentation agree on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec
from litestar.exceptions import ImproperlyConfiguredException

from shared.api.binding import Binding
from shared.api.idempotency import Mode
from shared.api.problems import status_of
from shared.api.refusals import (
    BodyTooLarge,
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    MalformedJson,
    Overloaded,
    RateLimited,
    SlowRequest,
    UnknownApiVersion,
    UnsupportedMediaType,
)
from shared.domain.errors import (
    Busy,
    CommitOutcomeUnknown,
    DomainError,
    Forbidden,
    PreconditionMissing,
    StaleVersion,
    Unauthenticated,
    Unavailable,
)
from shared.domain.limits import Rate
from shared.domain.once import AnswerTooLarge, InFlight, KeyReused
from shared.domain.policy import STAFF, Rule

_EVERYWHERE: Final = (InvalidRequest, UnknownApiVersion, Unauthenticated, InternalError, DeadlineExceeded, Busy, Unavailable)
_ALL_ROLES: Final = STAFF | {"customer"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """`id` is verb and noun and unique; `answers` are its successes, from status to the view that is sent.

    `rate` is the class by which it is limited, None for what is never refused; `account` the field of its body that names one.
    """

    id: str
    method: str
    status: int
    summary: str
    description: str
    errors: tuple[type[DomainError], ...]
    answers: Mapping[int, Any]
    idempotent: Mode
    if_match: Mode
    rate: Rate | None
    account: str | None
    keep_days: int
    tag_covers_all: bool
    binding: Binding

    def __post_init__(self) -> None:
        if not self.id.isidentifier() or not self.id[0].islower() or self.id.islower():
            raise ImproperlyConfiguredException(f"{self.id!r} is not of the form verbNoun")
        if not self.summary:
            raise ImproperlyConfiguredException(f"{self.id}: the handler's docstring is its summary, and is missing")
        body = getattr(self.binding.body, "shape", None)
        if self.account is not None and self.account not in getattr(body, "__struct_fields__", ()):
            raise ImproperlyConfiguredException(f"{self.id}: its body has no field {self.account}, which is to name an account")

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self  # Litestar copies handlers with all they carry

    @property
    def revalidates(self) -> bool:
        """Whether the answer to a read has an entity tag that tells all of its changes."""
        return self.tag_covers_all and self.carries_version(self.answers[self.status])

    @staticmethod
    def carries_version(view: Any) -> bool:
        return isinstance(view, type) and issubclass(view, msgspec.Struct) and "version" in view.__struct_fields__

    def problems(self, rule: Rule) -> tuple[type[DomainError], ...]:
        """Every kind of problem that this operation may answer with."""
        return tuple(dict.fromkeys(self._problems(rule)))

    def _problems(self, rule: Rule) -> Iterator[type[DomainError]]:
        yield from _EVERYWHERE
        if rule.roles is not None and not rule.roles >= _ALL_ROLES:
            yield Forbidden
        if self.binding.body:
            yield from (MalformedJson, UnsupportedMediaType)
        if self.binding.body or self.idempotent != "never":
            yield from (BodyTooLarge, SlowRequest)
        if self.rate is not None:
            yield from (RateLimited, Overloaded)
        if self.method != "GET":
            yield CommitOutcomeUnknown
        if self.idempotent != "never":
            yield from (InFlight, KeyReused, AnswerTooLarge)
        if self.if_match != "never":
            yield StaleVersion
        if "required" in (self.idempotent, self.if_match):
            yield PreconditionMissing
        yield from self.errors


def by_status(kinds: tuple[type[DomainError], ...]) -> dict[int, list[type[DomainError]]]:
    """Problems grouped by their HTTP status, in the order of the numbers."""
    grouped: dict[int, list[type[DomainError]]] = {}
    for kind in sorted(kinds, key=lambda kind: (status_of(kind), kind.code)):
        grouped.setdefault(status_of(kind), []).append(kind)
    return grouped
