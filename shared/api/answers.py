"""What a handler answers: a view as JSON with its status and headers. The route's decorator puts it on the wire."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from shared.api.conditional import etag
from shared.domain.once import Answer

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Reply(Answer, Generic[T]):
    """An answer that carries a `T`: the type of a handler's result, and what its documentation says."""


def ok(view: T) -> Reply[T]:
    """200 with the view; its `version`, if it has one, becomes the ETag."""
    return Reply(200, _encode(view), _tag(view))


def created(collection: str) -> Callable[[T], Reply[T]]:
    """Renders 201 with a Location below `collection`, such as `/v1/products`, made of the view's `id`."""

    def render(view: T) -> Reply[T]:
        location = f"{collection.rstrip('/')}/{getattr(view, 'id')}"  # noqa: B009 - views share the attribute, not a class
        return Reply(201, _encode(view), (("Location", location), *_tag(view)))

    return render


def accepted(view: T, location: str) -> Reply[T]:
    """202: the work goes on; `location` is where to look, such as `/v1/operations/sag_…`."""
    return Reply(202, _encode(view), (("Location", location),))


def no_content(_: Any = None) -> Reply[None]:
    """204, whatever the use case returned."""
    return Reply(204, b"")


def _tag(view: object) -> tuple[tuple[str, str], ...]:
    version = getattr(view, "version", None)
    return (("ETag", etag(version)),) if version is not None else ()
