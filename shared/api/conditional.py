"""Entity tags: a row's version on the wire, and the conditions that clients build on it."""

import re
from typing import Any, Final

from litestar import Request

from shared.api import headers
from shared.api.refusals import Fault, InvalidRequest
from shared.domain.errors import PreconditionMissing

IF_MATCH: Final = r'\A(?:\*|(?:W/)?"[\x21\x23-\x7e]{0,60}")\Z'
IF_NONE_MATCH: Final = r'\A(?:\*|(?:W/)?"[\x21\x23-\x7e]*"(?:[ \t]*,[ \t]*(?:W/)?"[\x21\x23-\x7e]*")*)\Z'
MAX_IF_NONE_MATCH: Final = 1024

_ONE = re.compile(IF_MATCH)
_SEVERAL = re.compile(IF_NONE_MATCH)
_TAG = re.compile(r'\A"([0-9]{1,18})"\Z')
_MATCHES_NOTHING = 0


def etag(version: int) -> str:
    return f'"{version}"'


def if_match(request: Request[Any, Any, Any]) -> int | None:
    """The version that the caller expects to change; None for `*` and when the header, being optional here, is absent.

    A weak or foreign tag matches no row (strong comparison): the use case then raises StaleVersion, as for any old one.
    """
    tag = headers.value(request, b"if-match")
    if tag is None or tag == "*":
        return None
    match = _TAG.match(tag)
    return int(match[1]) if match else _MATCHES_NOTHING


def check_if_match(request: Request[Any, Any, Any], *, required: bool) -> None:
    """Raises PreconditionMissing, and InvalidRequest for what is no entity tag."""
    tag = headers.value(request, b"if-match")
    if tag is None:
        if required:
            raise PreconditionMissing("send If-Match with the ETag of what you have read")
    elif not _ONE.match(tag):
        raise InvalidRequest([Fault(code="wrong_format", detail="send one entity tag, or *", parameter="If-Match")])


def if_none_match(request: Request[Any, Any, Any]) -> str | None:
    """The entity tags that the caller knows; raises InvalidRequest for what are none."""
    tags = headers.value(request, b"if-none-match")
    if tags is not None and (len(tags) > MAX_IF_NONE_MATCH or not _SEVERAL.match(tags)):
        raise InvalidRequest([Fault(code="wrong_format", detail="send entity tags, or *", parameter="If-None-Match")])
    return tags


def not_modified(if_none_match: str, tag: str) -> bool:
    """Weak comparison, as GET wants it."""
    listed = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return tag.removeprefix("W/") in listed or listed == ["*"]
