"""Spans by OpenTelemetry: of requests, events, tasks, saga steps, and of the statements and commands inside them.

Only on sampled traces, and without any value: no parameter, no body, no query string, and of an error only its type, because
its message may hold a value.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, Span, SpanKind, StatusCode

from shared.domain.context import Context
from shared.domain.saga import Waiting
from shared.infra.config import use_current_conventions

LONGEST_ATTRIBUTE: Final = 4096

_KINDS: Final = {"client": SpanKind.CLIENT, "consumer": SpanKind.CONSUMER, "internal": SpanKind.INTERNAL}
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}


def exporter(endpoint: str) -> SpanExporter:
    """To the collector whose base address is `endpoint`; further options are OpenTelemetry's own OTEL_EXPORTER_OTLP_… variables."""
    return OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=5)


def batched(to: SpanExporter) -> SpanProcessor:
    return BatchSpanProcessor(to)


class Spans:
    """What becomes of a sampled trace in this process. The decision has been made before: what comes here is recorded."""

    def __init__(self, processor: SpanProcessor) -> None:
        resource = Resource.create({"service.name": "tenon"})
        limits = SpanLimits(max_attribute_length=LONGEST_ATTRIBUTE)
        self._provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, span_limits=limits)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("tenon")

    def serve(self, context: Context, caller: str | None, method: str, path: str) -> "ServerSpan":
        """Begin the span of a request, below that of its `caller`; what the request causes is below it."""
        known = method if method in _METHODS else "_OTHER"
        attributes = {"http.request.method": known, "url.path": path}
        span = self._tracer.start_span(known, _below(caller), SpanKind.SERVER, attributes)
        context.traceparent = _traceparent(span)
        context.trace_id = context.correlation_id = context.traceparent[3:35]
        return ServerSpan(span, known)

    @contextmanager
    def work(self, name: str, kind: str, context: Context, attributes: Mapping[str, str]) -> Iterator[None]:
        cause = context.traceparent
        span = self._tracer.start_span(name, _below(cause), _KINDS[kind], attributes)
        context.traceparent = _traceparent(span)
        try:
            with _running(span):
                yield
        finally:
            context.traceparent = cause

    @contextmanager
    def batch(self, name: str, causes: Sequence[str]) -> Iterator[None]:
        links = [Link(_context(cause)) for cause in causes]
        with _running(self._tracer.start_span(name, _below(None), SpanKind.CONSUMER, links=links)):
            yield

    @contextmanager
    def instrumented(self) -> Iterator[None]:
        """asyncpg and redis are wrapped for as long as this lasts."""
        use_current_conventions()
        wrapped: tuple[Any, ...] = SampledAsyncPG(), RedisInstrumentor()
        for each in wrapped:
            each.instrument(tracer_provider=Inside(self._provider))
        try:
            yield
        finally:
            for each in wrapped:
                each.uninstrument()


class ServerSpan:
    """The current span from its making to its end, both in the same asyncio task."""

    def __init__(self, span: Span, method: str) -> None:
        self._span = span
        self._method = method
        self._token = attach(trace.set_span_in_context(span))

    def end(self, route: str | None, status: int) -> None:
        detach(self._token)
        span = self._span
        if route is not None:
            span.update_name(f"{self._method} {route}")
            span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(StatusCode.ERROR)
        span.end()


class SampledAsyncPG(AsyncPGInstrumentor):
    """Elsewhere a statement costs one look at the context, and not the description of a span that nobody records."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the package has no types

    def _do_execute(self, call: Any, *described: Any) -> Any:
        return self._unless_unseen(super()._do_execute, call, *described)

    def _do_cursor_execute(self, call: Any, *described: Any) -> Any:
        return self._unless_unseen(super()._do_cursor_execute, call, *described)

    def _do_prepared_execute(self, call: Any, *described: Any) -> Any:
        return self._unless_unseen(super()._do_prepared_execute, call, *described)

    @staticmethod
    def _unless_unseen(told: Any, call: Any, connection: Any, args: Any, kwargs: Any) -> Any:
        return told(call, connection, args, kwargs) if _recording() else call(*args, **kwargs)


class Inside(trace.TracerProvider):
    """Spans for the instrumentations: inside a recorded one or not at all."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    def get_tracer(self, *scope: Any, **more: Any) -> trace.Tracer:
        return _InsideTracer(self._provider.get_tracer(*scope, **more))


class _InsideTracer(trace.Tracer):
    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def start_span(self, *named: Any, **described: Any) -> Span:
        return self._tracer.start_span(*named, **described) if _recording() else trace.INVALID_SPAN

    @contextmanager
    def start_as_current_span(self, *named: Any, **described: Any) -> Iterator[Span]:  # type: ignore[override]  # no decorator here
        span = self.start_span(*named, **described)
        if span.is_recording():
            with _running(span):
                yield span
        else:
            yield span


@contextmanager
def _running(span: Span) -> Iterator[None]:
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield
        except Waiting:
            raise  # a saga that sleeps has not failed
        except Exception as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(StatusCode.ERROR)
            raise


def _recording() -> bool:
    return trace.get_current_span().is_recording()


def _below(traceparent: str | None) -> Any:
    return trace.set_span_in_context(trace.NonRecordingSpan(_context(traceparent)) if traceparent else trace.INVALID_SPAN)


def _context(traceparent: str) -> trace.SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return trace.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=trace.TraceFlags(int(flags, 16)))


def _traceparent(span: Span) -> str:
    it = span.get_span_context()
    return f"00-{trace.format_trace_id(it.trace_id)}-{trace.format_span_id(it.span_id)}-{it.trace_flags:02x}"
