"""One stream of structured logs for us and for every library, with trace ids, and without anything that is named like a secret."""

import logging
import re
import sys
from functools import lru_cache
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from shared.domain.context import current

REDACTED: Final = "[redacted]"

_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|authorization|cookie|credential|pepper|signature|private[_-]?key|api[_-]?key|idempotency[_-]?key|card[_-]?number|cvc",
    re.IGNORECASE,
)
_QUIET: Final = {
    "uvicorn.access": logging.CRITICAL,
    "uvicorn.error": logging.WARNING,
    "sqlalchemy.engine": logging.WARNING,
    "asyncio": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
}
"""Libraries that say per process, request or statement what our own line says better."""


def configure_logging(format: Literal["json", "console"], level: str, stream: TextIO | None = None) -> None:
    """Send everything to `stream` (standard output): structlog's loggers directly, the standard library's through a handler."""
    to = stream or sys.stdout
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso") if format == "json" else structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        add_trace,
        redact,
    ]
    render = _renderers(format, colors=to.isatty())
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
    """By name, at any depth, so that a careless `log.info(..., headers=headers)` gives nothing away."""
    for name, value in event.items():
        if is_secret(name):
            event[name] = REDACTED
        elif isinstance(value, (dict, list, tuple)):
            event[name] = _cleaned(value)
    return event


@lru_cache(4096)
def is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: REDACTED if is_secret(str(name)) else _cleaned(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(part) for part in value]
    return value


def _renderers(format: Literal["json", "console"], *, colors: bool) -> list[Processor]:
    if format == "console":
        traceback = structlog.dev.plain_traceback
        return [trace_last, structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, sort_keys=False, exception_formatter=traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]


def _json(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()
