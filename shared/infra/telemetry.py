"""One stream of structured logs for us and for every library, with trace ids, and without secrets."""

import logging
import sys
from time import gmtime, strftime, time
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from shared.domain.context import current
from shared.infra.telling import REDACTED, clean, has_mark, is_secret, scrubbed, stack

_QUIET: Final = {
    "uvicorn.access": logging.CRITICAL,
    "uvicorn.error": logging.WARNING,
    "sqlalchemy.engine": logging.WARNING,
    "asyncio": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
}
"""Libraries that say per process, request or statement what our own line says better."""


_PLAIN: Final = frozenset({bool, int, float, type(None)})
_FOR_RENDERING: Final = frozenset({"exc_info", "stack_info", "_record", "_from_structlog"})


def configure_logging(format: Literal["json", "console"], level: str, stream: TextIO | None = None, *, disclosing: bool = False) -> None:
    """Send everything to `stream` (standard output): structlog's loggers directly, the standard library's through a handler.

    `disclosing`, for development, writes the messages of all errors, whatever they may hold.
    """
    to = stream or sys.stdout
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        Stamp() if format == "json" else structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        add_trace,
        redact,
    ]
    render = _renderers(format, colors=to.isatty(), disclosing=disclosing)
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=to),
        cache_logger_on_first_use=stream is None,
    )
    handler = logging.StreamHandler(to)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    logging.captureWarnings(True)
    for name, quieter in _QUIET.items():
        logging.getLogger(name).setLevel(max(quieter, threshold))
    for name in ("uvicorn", "uvicorn.error"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True


class Stamp:
    """The time of a line in UTC, as of ISO 8601: its seconds are written out once for all lines of a second."""

    def __init__(self) -> None:
        self._second = (0, "")

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        now = time()
        second, text = self._second
        if second != int(now):
            second = int(now)
            text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
            self._second = second, text
        event["timestamp"] = f"{text}.{int((now - second) * 1_000_000):06d}Z"
        return event


def add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The ids by which the lines of one request, event or task are found together."""
    if trace_id := current().trace_id:
        event.setdefault("trace_id", trace_id)
    return event


def trace_last(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """People read the rest first."""
    if "trace_id" in event:
        event["trace_id"] = event.pop("trace_id")
    return event


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """By name and by type, at any depth, so that a careless `log.info(..., headers=headers)` gives nothing away."""
    for name, value in event.items():
        kind = type(value)
        if is_secret(name):
            event[name] = REDACTED
        elif kind is str:
            if has_mark(value):
                event[name] = scrubbed(value)
        elif kind not in _PLAIN and name not in _FOR_RENDERING:
            event[name] = clean(value)
    return event


def _renderers(format: Literal["json", "console"], *, colors: bool, disclosing: bool) -> list[Processor]:
    if format == "console":
        traceback = structlog.dev.plain_traceback if disclosing else _write_stack
        return [trace_last, structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, sort_keys=False, exception_formatter=traceback)]
    exceptions = structlog.processors.format_exc_info if disclosing else structlog.processors.ExceptionRenderer(_stack)
    return [exceptions, structlog.processors.JSONRenderer(serializer=_json)]


def _stack(exc_info: ExcInfo) -> str:
    return stack(exc_info[1])


def _write_stack(to: TextIO, exc_info: ExcInfo) -> None:
    to.write(f"\n{stack(exc_info[1])}")


def _json(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event).decode()
