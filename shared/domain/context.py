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

_ODD: Final = frozenset("13579bdf")


@dataclass(slots=True)
class Context:
    """`deadline` is a time of `time.monotonic()`; `sql_seconds` is waiting time summed over statements."""

    trace_id: str = ""
    traceparent: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    principal: Principal = ANONYMOUS
    deadline: float | None = None
    sql_count: int = 0
    sql_seconds: float = 0.0
    log: dict[str, object] = field(default_factory=dict)

    @property
    def sampled(self) -> bool:
        """Whether the trace is recorded, by whoever records: the lowest bit of its flags."""
        return self.traceparent[-1:] in _ODD

    def seconds_left(self, default: float) -> float:
        """Time until the deadline, never negative; `default` when there is none."""
        return default if self.deadline is None else max(0.0, self.deadline - monotonic())


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
