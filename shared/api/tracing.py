"""W3C trace context: the ids that connect a request with its log lines, its events and its problem document, and its span."""

import os
import re
from time import monotonic
from typing import Final, Protocol

from shared.domain.context import Context

_TRACEPARENT = re.compile(r"\A(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(?:\Z|-)")
_HALF_OF_IDS: Final = 2**64


class ServerSpan(Protocol):
    def end(self, route: str | None, status: int) -> None:
        """`route` is its template, None where there is none."""


class Spans(Protocol):
    """Where the spans of sampled requests go."""

    def serve(self, context: Context, caller: str | None, method: str, path: str) -> ServerSpan:
        """Begin the span of a request and give `context` its ids. `caller` is the caller's traceparent."""


def continued(traceparent: str | None) -> str | None:
    """The caller's `traceparent` as of version 00, or None when it is not one."""
    match = _TRACEPARENT.match(traceparent) if traceparent else None
    return f"00-{match[1]}" if match else None


def begin_trace(caller: str | None, deadline_s: float, ratio: float = 0.0) -> Context:
    """A context that continues the caller's trace and its decision, or begins one that is sampled in `ratio` of all cases."""
    if caller is None:
        trace_id, span_id = os.urandom(16).hex(), os.urandom(8).hex()
        sampled = ratio > 0 and int(trace_id[16:], 16) < ratio * _HALF_OF_IDS
        traceparent = f"00-{trace_id}-{span_id}-{'01' if sampled else '00'}"
    else:
        trace_id, traceparent = caller[3:35], caller
    return Context(trace_id=trace_id, traceparent=traceparent, correlation_id=trace_id, deadline=monotonic() + deadline_s, sent={})
