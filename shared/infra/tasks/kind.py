"""How a module declares its durable work."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

import msgspec

from shared.domain.jobs import Progress, Steps

P = TypeVar("P", bound=msgspec.Struct)
S = TypeVar("S", bound=Progress)


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
class JobKind(Generic[P, S]):
    """Long work that its beginner follows, and may cancel, at `/v1/jobs/{id}`.

    `run(payload, steps)` is called again after a crash, a stop or an error, with the progress of the last step that committed; it
    answers the path of what the job was about, if there is one to look at. A refusal that no retry helps ends it as failed.
    `compute` is its CPU-heavy part, for `steps.compute`: a function of a module's top level that neither reads nor changes
    anything, done in a process of its own within `compute_timeout`. `timeout` is for the whole of one run.
    """

    name: str
    payload: type[P]
    progress: type[S]
    run: Callable[[P, Steps[Any, S]], Awaitable[str | None]]
    compute: Callable[[Any], Any] | None = None
    compute_timeout: timedelta = timedelta(minutes=1)
    timeout: timedelta = timedelta(hours=1)


Kind = TaskKind[Any] | JobKind[Any, Any]


@dataclass(frozen=True, slots=True)
class Cron:
    """Enqueues `kind` with an empty payload at every multiple of `every` of the database's clock, once per tick.

    When no scheduler ran for a while, the latest `catch_up` ticks are made up for, and earlier ones never were. One is enough for
    work that looks at what there is; more are for work whose every tick has a meaning of its own, told by its task's id.
    """

    kind: Kind
    every: timedelta
    catch_up: int = 1
