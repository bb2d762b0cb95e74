"""W3C trace context: the ids that connect a request with its log lines, its events and its problem document."""

import os
import re
from time import monotonic

from shared.domain.context import Context

_TRACEPARENT = re.compile(r"\A(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:\Z|-)")


def begin_trace(traceparent: str | None, deadline_s: float) -> Context:
    """A context that continues the caller's trace, or begins one that is not sampled."""
    match = _TRACEPARENT.match(traceparent) if traceparent else None
    trace_id, flags = (match[1], match[2]) if match else (os.urandom(16).hex(), "00")
    return Context(
        trace_id=trace_id,
        traceparent=f"00-{trace_id}-{os.urandom(8).hex()}-{flags}",
        correlation_id=trace_id,
        deadline=monotonic() + deadline_s,
    )
