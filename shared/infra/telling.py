"""What may be told, in logs and in tables, of an error or of any other value: decided by its type, as any text may hold a secret."""

import os
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
import redis.exceptions

from shared.domain.errors import DomainError
from shared.infra.secrets import Secret

REDACTED: Final = "[redacted]"
LONGEST: Final = 2_000

_OURS: Final = ("shared.", "modules.", "entrypoints.")
_VOUCHED: Final = (
    DomainError,
    AttributeError, ImportError, NameError, NotImplementedError, RecursionError, TypeError, ZeroDivisionError,
    asyncpg.PostgresError, asyncpg.InterfaceError,
    msgspec.DecodeError,
    redis.exceptions.ConnectionError, redis.exceptions.TimeoutError,
)  # fmt: skip
"""Types whose messages name code, types, constraints and servers, and no value. Those of our own are, too."""

_DATA_EXCEPTION: Final = "22"
"""The class of the SQLSTATEs whose messages quote the value that the database could not take."""

_QUOTES_A_VALUE: Final = re.compile(r"Invalid (enum )?value ")
"""How msgspec begins a message that quotes what it was given."""

_SECRET_NAME: Final = re.compile(
    r"passw|passphrase|secret|token|authorization|cookie|credential|pepper|signature|private[_-]?key|api[_-]?key|idempotency[_-]?key"
    r"|card[_-]?number|cvc|payment[_-]?method|e-?mail$",
    re.IGNORECASE,
)
_SECRET_SHAPE: Final = re.compile(
    r"(?<=://)[^/\s@]*+@"  # user and password of a URL
    r"|(?<![\w-])eyJ[\w-]++\.[\w-]++\.[\w-]*+"  # a signed token
    r"|(?<=Bearer )[^\s\"',]+"
    r"|(?<![\w.!#$%&'*+/=?^`{|}~-])[\w.!#$%&'*+/=?^`{|}~-]++@[\w-]++(\.[\w-]++)+"  # an e-mail address
)
"""Each begins at one place of a word and never goes back, so that a long text takes no longer than its length."""

has_mark: Final = re.compile("@|eyJ|Bearer ").search
"""Whether a text has what each of these shapes has: most have none, and every line of the log is asked."""


def told(error: BaseException) -> str:
    """Its type, and its message where the type vouches for that. The rest of what there is to know is where it was raised."""
    kind, message = type(error).__qualname__, _message(error)
    return f"{kind}: {message}"[:LONGEST] if message else kind


def stack(error: BaseException) -> str:
    """As Python writes it out, with lines of code and without values: each error is `told`, its notes are left out."""
    return "\n".join(_stack(error, set()))


def clean(value: Any) -> Any:
    """The same without secrets at any depth. Of a type that nobody has thought of only its name is left."""
    match value:
        case str():
            return scrubbed(value)
        case None | bool() | int() | float() | Decimal() | UUID() | date() | time() | timedelta():
            return value
        case BaseException():
            return told(value)
        case bytes() | bytearray() | memoryview():
            return f"[{len(value)} bytes]"
        case Mapping():
            return {name: REDACTED if is_secret(name) else clean(part) for name, part in _named(value.items())}
        case (str() as name, _) if is_secret(name):
            return [name, REDACTED]
        case list() | tuple() | set() | frozenset():
            return [clean(part) for part in value]
        case msgspec.Struct():
            return clean(msgspec.structs.asdict(value))
        case Path() | type() | Secret():
            return str(value)
        case _:
            return f"[{type(value).__qualname__}]"


def scrubbed(text: str) -> str:
    """Without what looks like a secret by itself: passwords in URLs, signed tokens, e-mail addresses."""
    return _SECRET_SHAPE.sub(REDACTED, text) if has_mark(text) else text


@lru_cache(4096)
def is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _message(error: BaseException) -> str:
    match error:
        case BaseExceptionGroup():
            return "; ".join(told(each) for each in error.exceptions)
        case OSError():
            return os.strerror(error.errno) if error.errno is not None and error.errno > 0 else ""
        case asyncpg.PostgresError() if (error.sqlstate or "").startswith(_DATA_EXCEPTION):
            return f"SQLSTATE {error.sqlstate}"
        case _ if isinstance(error, _VOUCHED) or type(error).__module__.startswith(_OURS):
            message = str(error)
            return "" if _QUOTES_A_VALUE.match(message) else scrubbed(message)
        case _:
            return ""


def _stack(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _stack(before, seen)
        yield "\nThe above exception was the direct cause of the following one:\n" if error.__cause__ else "\nMeanwhile:\n"
    yield "Traceback (most recent call last):"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    yield told(error)
    for each in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        if id(each) not in seen:
            yield from (f"  | {line}" for part in _stack(each, seen) for line in part.split("\n"))


def _named(items: Iterable[tuple[object, Any]]) -> Iterator[tuple[str, Any]]:
    for name, value in items:
        yield name.decode("latin-1") if isinstance(name, bytes) else str(name), value
