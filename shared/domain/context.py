"""What accompanies one request, event or task through the code: who, until when, on behalf of what, at what cost."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import msgspec


class Principal(msgspec.Struct, frozen=True):
    """Who calls. `kind` is anonymous, user, api_key, cart (a guest's cart token) or service; `scope` names them uniquely."""

    kind: str = "anonymous"
    id: str = ""
    roles: frozenset[str] = frozenset()
    verified: bool = False

    @property
    def scope(self) -> str:
        return f"{self.kind}:{self.id}"


ANONYMOUS: Final = Principal()
SYSTEM: Final = Principal(kind="service", id="tenon")

OFTEN: Final = 5
"""One piece of work that sends the same statement so many times sends it in a loop: one for all rows is wanted."""

ONE_BY_ONE: Final = "one by one:"
"""Begins a comment in a statement that is meant to be sent again and again, and says why."""

_ODD: Final = frozenset("13579bdf")


Sent = tuple[str | None, str]
"""A statement with the role that sends it: the same words in another module's schema are another statement."""


class Repeat(msgspec.Struct, frozen=True):
    """A statement that was sent OFTEN or more often. `at` is the code that sent it, before its callers."""

    statement: str
    count: int
    at: str


@dataclass(slots=True)
class Context:
    """`deadline` is a time of `time.monotonic()`; `sql_seconds` is waiting time summed over statements.

    `sent` tells how often each statement was sent, `loops` where from when it became often; None where the work has no end.
    """

    trace_id: str = ""
    traceparent: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    principal: Principal = ANONYMOUS
    deadline: float | None = None
    sql_count: int = 0
    sql_seconds: float = 0.0
    sent: dict[Sent, int] | None = None
    loops: dict[Sent, str] = field(default_factory=dict)
    log: dict[str, object] = field(default_factory=dict)

    @property
    def sampled(self) -> bool:
        """Whether the trace is recorded, by whoever records: the lowest bit of its flags."""
        return self.traceparent[-1:] in _ODD

    def seconds_left(self, default: float) -> float:
        """Time until the deadline, never negative; `default` when there is none."""
        return default if self.deadline is None else max(0.0, self.deadline - monotonic())

    def cost(self) -> dict[str, float]:
        """For a line of the log: statements, and the milliseconds that were waited for them."""
        return {"sql": self.sql_count, "sql_ms": round(self.sql_seconds * 1000, 2)}

    def bear(self, other: "Context") -> None:
        """What work in a context of its own, done for this one among others, has sent."""
        self.sql_count += other.sql_count
        self.sql_seconds += other.sql_seconds
        if self.sent is not None and other.sent:
            for statement, times in other.sent.items():
                self.sent[statement] = self.sent.get(statement, 0) + times
            self.loops |= other.loops

    def repeats(self) -> list[Repeat]:
        """The N+1 of this piece of work."""
        sent = self.sent or {}
        return [Repeat(" ".join(one[1].split()), sent[one], at) for one, at in self.loops.items() if one in sent]


_context: ContextVar[Context | None] = ContextVar("tenon_context", default=None)


def current() -> Context:
    """The context of the running work; a fresh one where nothing began it."""
    context = _context.get()
    if context is None:
        context = Context()
        _context.set(context)
    return context


def begin(context: Context) -> None:
    """Make `context` the one of this asyncio task and of those that it starts."""
    _context.set(context)
