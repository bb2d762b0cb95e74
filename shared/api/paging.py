"""Keyset lists: a cursor that only we can make, good for one list with one set of filters and one order."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Annotated, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Meta

from shared.api.answers import Reply
from shared.api.refusals import Fault, InvalidRequest
from shared.domain.page import MAX_LIMIT, PageRequest, Slice
from shared.domain.signing import Signing

T = TypeVar("T")

Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="Items on the page", examples=[20])]
Cursor = Annotated[str, Meta(min_length=1, max_length=1024, description="next_cursor of the page before")]

_PURPOSE: Final = b"list cursor 1"
_encode = msgspec.json.Encoder().encode
_keys = msgspec.json.Decoder(tuple[str | int, ...], strict=True)


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. `next_cursor` leads to the next one and is null on the last."""

    data: list[T]
    has_more: bool
    next_cursor: str | None


class Paging:
    """The place in a list that a request asks for, and the way to the next. A handler of a list has one as parameter."""

    def __init__(self, path: str, query: Mapping[str, str | list[str]], limit: int, sort: str, cursor: str | None, signer: Signing) -> None:
        self.sort = sort
        self._path = path
        self._signer = signer
        self._filters = sorted((name, value) for name, value in query.items() if name not in ("limit", "cursor", "sort"))
        self._limit = limit
        self.request = PageRequest(limit, self._read(cursor) if cursor is not None else None)

    def page(self, slice_: Slice[T]) -> Reply[Page[T]]:
        """200 with the slice's items, the next cursor, and a Link to the next page."""
        following = self._write(slice_.next) if slice_.next is not None else None
        body = _encode(Page(slice_.items, following is not None, following))
        return Reply(200, body, (("Link", self._link(following)),) if following else ())

    def _write(self, keys: tuple[str | int, ...]) -> str:
        payload = _encode(keys)
        return f"{_text(payload)}.{_text(self._signer.sign(self._bound(payload)))}"

    def _read(self, cursor: str) -> tuple[str | int, ...]:
        payload, _, signature = cursor.partition(".")
        try:
            keys, mark = _bytes(payload), _bytes(signature)
            if self._signer.verify(self._bound(keys), mark):
                return _keys.decode(keys)
        except (ValueError, msgspec.MsgspecError):
            pass
        detail = "this cursor was not made for this list with these filters and this order"
        raise InvalidRequest([Fault(code="invalid_cursor", detail=detail, parameter="cursor")])

    def _bound(self, payload: bytes) -> bytes:
        return _encode((_PURPOSE, self._path, self._filters, self.sort, payload))

    def _link(self, cursor: str) -> str:
        query = [*self._filters, ("limit", str(self._limit)), ("cursor", cursor)]
        if self.sort:
            query.append(("sort", self.sort))
        return f'<{quote(self._path)}?{urlencode(query, doseq=True)}>; rel="next"'


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(raw) != text:
        raise ValueError("not the one way to write these bytes")
    return raw
