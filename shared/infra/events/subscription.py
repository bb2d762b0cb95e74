"""How a module says what it listens to. Declared in `modules/<name>/infra/subscribers.py`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec

W = TypeVar("W")
D = TypeVar("D", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class On(Generic[D]):
    """Reaction to one event type. `shape` is the consumer's own Struct: only the fields it reads, extra ones ignored."""

    shape: type[D]
    handle: Callable[..., Awaitable[None]]
    version: int = 1


@dataclass(frozen=True, slots=True)
class Subscription(Generic[W]):
    """One cursor over one publisher's log. `id` is stable for ever: renaming a handler changes nothing.

    database: `handle(work, delivery)` writes only tables of its own module, inside the batch's transaction, exactly once.
    outbound: `handle(delivery, key)` runs outside any transaction, at least once; `key` is the same on every try.
    `on` maps event types of `publisher` to reactions; events of one key are handled in order.
    """

    id: str
    publisher: str
    kind: Literal["database", "outbound"]
    on: Mapping[str, On[Any]]
    start: Literal["first", "now"] = "first"


def database(id: str, publisher: str, on: Mapping[str, On[Any]]) -> Subscription[Any]:
    return Subscription(id, publisher, "database", on)


def outbound(id: str, publisher: str, on: Mapping[str, On[Any]]) -> Subscription[Any]:
    return Subscription(id, publisher, "outbound", on)
