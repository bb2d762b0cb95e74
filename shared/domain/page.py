"""One page of a list, walked by keyset."""

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

MAX_LIMIT = 100
DEFAULT_LIMIT = 20


class PageRequest(msgspec.Struct, frozen=True):
    """`after` is the sort key of the last row seen (its columns in order), None at the start; `limit` is 1 to 100."""

    limit: int = DEFAULT_LIMIT
    after: tuple[str | int, ...] | None = None

    @property
    def before(self) -> str | int:
        """The id that those on the page come before, where the newest is first; `~` sorts after every id."""
        return self.after[0] if self.after else "~"


class Slice(msgspec.Struct, Generic[T], frozen=True):
    """What a query answers: at most `limit` items, and the sort key to go on after, None at the end."""

    items: list[T]
    next: tuple[str | int, ...] | None = None


def cut(rows: list[T], request: PageRequest, key: Callable[[T], tuple[str | int, ...]]) -> Slice[T]:
    """Turn `limit + 1` fetched rows into a slice."""
    more = len(rows) > request.limit
    items = rows[: request.limit]
    return Slice(items, key(items[-1]) if more else None)
