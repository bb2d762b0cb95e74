"""JSON read strictly: bounded depth, no key twice in an object, no NUL in any text, no value of a neighbouring type."""

import re
from collections.abc import Iterator
from json import JSONDecoder
from typing import Any, Final, Never

import msgspec

from shared.api.faults import NUL, faults_in
from shared.api.refusals import Fault, MalformedJson, UnsupportedMediaType

MAX_DEPTH: Final = 32
MEDIA_TYPES: Final = frozenset({"application/json", "application/merge-patch+json"})

_STRINGS_AND_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_ESCAPED_NUL: Final = rb"\u0000"


class StrictBody:
    """Reads bodies of one type."""

    def __init__(self, shape: Any) -> None:
        self.shape = shape
        self._decoder = msgspec.json.Decoder(shape, strict=True)

    def decode(self, body: bytes, content_type: str | None) -> Any:
        """Raises UnsupportedMediaType, MalformedJson, and msgspec's ValidationError at the first fault of many."""
        if not body:
            raise msgspec.ValidationError("a JSON body is required")
        _check_media_type(content_type)
        check_depth(body)
        try:
            value = self._decoder.decode(body)
        except msgspec.ValidationError:
            refuse_repeated_keys(body)
            raise
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedJson(str(error)) from error
        refuse_repeated_keys(body)
        if _ESCAPED_NUL in body and any(self.faults(body)):
            raise msgspec.ValidationError(NUL)
        return value

    def faults(self, body: bytes) -> Iterator[Fault]:
        """Every fault of a body that `decode` has called invalid."""
        if not body:
            yield Fault(code="required", detail="a JSON body is required", pointer="")
            return
        yield from faults_in(_LOOSELY.decode(body.decode()), self.shape)


def check_depth(body: bytes) -> None:
    """Raises MalformedJson beyond 32 levels. Few bodies have so many brackets that they must be looked at one by one."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _STRINGS_AND_BRACKETS.finditer(body):
        token = match.group()
        if token in (b"[", b"{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise MalformedJson(f"nested deeper than {MAX_DEPTH} levels")
        elif token in (b"]", b"}"):
            depth -= 1


def refuse_repeated_keys(body: bytes) -> None:
    """Raises MalformedJson for `{"amount": 1, "amount": 2}`, which parsers read in two ways."""
    try:
        _PAIRS.decode(body.decode())
    except ValueError as error:  # msgspec has accepted the text as JSON; the two disagree in corners such as a byte order mark
        raise MalformedJson(str(error)) from error


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) < 2 or len(pairs) == len(dict(pairs)):
        return
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise MalformedJson(f"the key {key[:64]!r} appears twice in one object")
        seen.add(key)


def _bounded(digits: str) -> int:
    """A number beyond 64 bits is out of every range, by how much does not matter."""
    return int(digits[:40])


def _refuse_constant(name: str) -> Never:
    raise MalformedJson(f"{name} is not JSON")


_PAIRS = JSONDecoder(object_pairs_hook=_unique, parse_int=float, parse_float=float, parse_constant=_refuse_constant)
"""Only looks at keys. Numbers are read as floats, so that thousands of digits cost nothing."""

_LOOSELY = JSONDecoder(parse_int=_bounded)
"""Builds the value whose faults are looked for."""


def _check_media_type(content_type: str | None) -> None:
    media_type, _, parameters = (content_type or "").partition(";")
    if media_type.strip().lower() not in MEDIA_TYPES:
        raise UnsupportedMediaType("send the body as application/json")
    if "charset" in parameters.lower() and "utf-8" not in parameters.lower():
        raise UnsupportedMediaType("JSON is encoded as UTF-8")
