"""The same statement again and again in one piece of work: located, and told in the log."""

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import currentframe
from typing import Final

import structlog
from greenlet import getcurrent  # type: ignore[import-untyped]  # it comes with sqlalchemy[asyncio], and without types

from shared.domain.context import current

log = structlog.get_logger(__name__)

OURS: Final = frozenset({"benchmarks", "entrypoints", "modules", "shared", "tests"})
DOOR: Final = "shared.infra.db."
"""Every statement goes through it, so that it says nothing."""

CALLERS: Final = 3


@contextmanager
def watched(work: str) -> Iterator[None]:
    """Around a piece of background work, whose context has begun; the edge does the same for a request."""
    context = current()
    context.sent = {}
    try:
        yield
    finally:
        for repeat in context.repeats():
            log.warning("n_plus_one", work=work, statement=repeat.statement, count=repeat.count, at=repeat.at)
        context.sent = None
        context.loops.clear()


def sender() -> str:
    """Where in our code the statement that has just ended was sent, and who called that: `file:line in function < …`."""
    found: list[str] = []
    frame, within = currentframe(), getcurrent()
    while len(found) < CALLERS:
        if frame is None:
            if within.parent is None or within.parent.gr_frame is None:
                break
            within = within.parent  # SQLAlchemy runs in a greenlet of its own, in whose parent our code waits
            frame = within.gr_frame
        name = frame.f_globals.get("__name__", "")
        if name.partition(".")[0] in OURS and not name.startswith(DOOR):
            found.append(f"{name.replace('.', '/')}.py:{frame.f_lineno} in {frame.f_code.co_qualname}")
        frame = frame.f_back
    return " < ".join(found)
