"""Sagas: a change in several modules as named steps, each its own transaction, with compensations up to a pivot."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)
W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Call:
    """What a remote step carries: `key` is `saga:step:direction`, the same on every retry; `timeout_s` is what is left of
    the claim, and the call must end before it. `action_key` is the key of the step's action, also in its compensation,
    which names by it what is to be undone even when the action's answer never arrived."""

    key: str
    timeout_s: float
    action_key: str


class Waiting(Exception):
    """Raised by a step whose effect ends elsewhere (3-D Secure, a provider's webhook). The saga sleeps until it is woken
    or `recheck` has passed, and runs the step again with the same key. `state` is kept."""

    def __init__(self, state: msgspec.Struct, recheck: timedelta) -> None:
        super().__init__("waiting")
        self.state = state
        self.recheck = recheck


@dataclass(frozen=True, slots=True)
class Local(Generic[W, S]):
    """A step inside the saga's own module: its effect and the saga's progress commit in one transaction, exactly once."""

    name: str
    action: Callable[[W, S], Awaitable[S]]
    compensation: Callable[[W, S], Awaitable[S]] | None = None
    pivot: bool = False


@dataclass(frozen=True, slots=True)
class Remote(Generic[S]):
    """A step in a neighbour or a foreign system: marked *sent* before the call, called outside any transaction, stored
    after it. Both functions are idempotent by `Call.key`; the compensation must win over an action that comes later."""

    name: str
    action: Callable[[S, Call], Awaitable[S]]
    compensation: Callable[[S, Call], Awaitable[S]] | None = None
    pivot: bool = False


class Failure(msgspec.Struct, frozen=True):
    """Why a saga was compensated: the DomainError of the step that refused."""

    code: str
    detail: str
    facts: dict[str, Any] = {}


def _nowhere(state: msgspec.Struct) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Saga(Generic[W, S]):
    """`name` and `version` are stable; an instance stays on its version. Before the pivot a DomainError that is not
    retryable starts the compensations; after it there are only retries.

    `finish` runs in the last transaction (after the last step, or after the last compensation, with the failure) and
    returns the outcome to keep: what a repeated request is answered with. `result` is the path under which its subject can
    be read, with `{key}` for the key that it was begun with; `action_url` is where somebody must act while it waits.
    `pivoted`: the transaction that begins it is the pivot already, every step only goes forward.
    """

    name: str
    version: int
    state: type[S]
    steps: Sequence[Local[W, S] | Remote[S]]
    finish: Callable[[W, S, Failure | None], Awaitable[msgspec.Struct]]
    give_up_after: timedelta = timedelta(minutes=15)
    result: str = ""
    action_url: Callable[[S], str | None] = _nowhere
    pivoted: bool = False

    RETRIES_BEFORE_STUCK: ClassVar[int] = 10


@dataclass(frozen=True, slots=True)
class Ended(Generic[R]):
    """The saga is over: done, or compensated because of `failure`. `outcome` is what its `finish` returned."""

    outcome: R
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Asleep:
    """The saga waits for somebody; `state` is what the waiting step left, a link to follow for instance."""

    state: Any


@dataclass(frozen=True, slots=True)
class Underway:
    """Patience ended first; a worker goes on."""


class Sagas(Protocol):
    """How a use case runs at once what its transaction has begun."""

    async def run(self, saga_id: str, outcome: type[R], *, patience_s: float) -> Ended[R] | Asleep | Underway:
        """Go on with the saga until it ends, falls asleep or `patience_s` has passed; never raises a step's error."""
        ...
