"""Where work is marked for tracing. Without a collector nothing is imported, wrapped or measured here."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from shared.domain.context import current

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

    from shared.infra.spans import Spans

FLUSH_S: Final = 5.0
"""How long the end of the process waits for a collector that does not answer."""

_NOTHING: Final = nullcontext()
_SAMPLED: Final = re.compile(rb'"traceparent":\s*"(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f][13579bdf])"')

_active: "Spans | None" = None  # one per process, as are the classes that it wraps


def active() -> "Spans | None":
    """What spans are made with, None while none are."""
    return _active


def traced(name: str, kind: Literal["client", "consumer", "internal"] = "internal", **attributes: str) -> AbstractContextManager[None]:
    """A span around work on a sampled trace, joined to it by the running context, which leads on to what the work causes."""
    if _active is None or not (context := current()).sampled:
        return _NOTHING
    return _active.work(name, kind, context, {name.replace("_", "."): value for name, value in attributes.items()})


def traced_batch(name: str, headers: Iterable[msgspec.Raw]) -> AbstractContextManager[None]:
    """A span around work on many traces at once: it is in none of them, and linked to those that are sampled."""
    if _active is None:
        return _NOTHING
    causes = [match[1].decode() for each in headers if (match := _SAMPLED.search(each))]
    return _active.batch(name, causes) if causes else _NOTHING


@asynccontextmanager
async def exporting(endpoint: str) -> AsyncIterator[None]:
    """Send the spans of this process to the OTLP/HTTP collector at `endpoint`; the last of them on leaving. Empty: to nobody."""
    if not endpoint:
        yield
        return
    from shared.infra import spans  # noqa: PLC0415 - half a second of imports, for those alone who export

    exporter = spans.exporter(endpoint)
    processor = spans.batched(exporter)
    try:
        with recording(processor):
            yield
    finally:
        flushed = asyncio.create_task(asyncio.to_thread(processor.shutdown))
        _, late = await asyncio.wait({flushed}, timeout=FLUSH_S)
        if late:
            exporter.shutdown()  # from now on it neither waits nor tries again
        await flushed


@contextmanager
def recording(processor: "SpanProcessor") -> Iterator[None]:
    """Hand every span that ends meanwhile to `processor`."""
    from shared.infra.spans import Spans  # noqa: PLC0415 - as above

    global _active  # noqa: PLW0603 - set where tracing begins and ends, and nowhere else
    if _active is not None:
        raise RuntimeError("this process is traced already")
    _active = Spans(processor)
    try:
        with _active.instrumented():
            yield
    finally:
        _active = None
