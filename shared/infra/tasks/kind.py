"""How a module declares its durable work."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

import msgspec

P = TypeVar("P", bound=msgspec.Struct)


class Nothing(msgspec.Struct, frozen=True):
    """The payload of a task that needs none."""


@dataclass(frozen=True, slots=True)
class TaskKind(Generic[P]):
    """`run(payload, key)` is called outside any transaction, at least once; `key` is the task's id, the same on every try.

    The claim is renewed while it runs, for `timeout` at most; after the last retry the task is dead, and visible.
    """

    name: str
    payload: type[P]
    run: Callable[[P, str], Awaitable[None]]
    timeout: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Cron:
    """Enqueues `kind` with an empty payload at every multiple of `every` of the database's clock, once per tick.

    When no scheduler ran for a while, the latest `catch_up` ticks are made up for, and earlier ones never were. One is enough for
    work that looks at what there is; more are for work whose every tick has a meaning of its own, told by its task's id.
    """

    kind: TaskKind[Any]
    every: timedelta
    catch_up: int = 1
