"""Entity tags: a row's version on the wire, and the conditions that clients build on it."""

import re
from typing import Any

from litestar import Request

from shared.api import headers
from shared.api.refusals import Fault, InvalidRequest
from shared.domain.errors import PreconditionMissing

_TAG = re.compile(r'\A"([0-9]{1,18})"\Z')
_MATCHES_NOTHING = 0


def etag(version: int) -> str:
    return f'"{version}"'


def if_match(request: Request[Any, Any, Any]) -> int | None:
    """The version that the caller expects to change; None for `*` and when the header, being optional here, is absent.

    A weak or foreign tag matches no row (strong comparison): the use case then raises StaleVersion, as for any old one.
    """
    sent = headers.value(request, b"if-match")
    if sent is None or sent.strip() == "*":
        return None
    tag = sent.strip()
    if "," in tag:
        raise InvalidRequest([Fault(code="wrong_format", detail="send one entity tag", parameter="If-Match")])
    match = _TAG.match(tag)
    return int(match[1]) if match else _MATCHES_NOTHING


def require_if_match(request: Request[Any, Any, Any]) -> None:
    if headers.value(request, b"if-match") is None:
        raise PreconditionMissing("send If-Match with the ETag of what you have read")


def not_modified(if_none_match: str, tag: str) -> bool:
    """Weak comparison, as GET wants it."""
    listed = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return tag.removeprefix("W/") in listed or listed == ["*"]
