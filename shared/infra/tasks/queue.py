"""Adding to a module's task table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import msgspec

from shared.domain.ids import new_id
from shared.domain.jobs import Job, JobUnderway
from shared.infra.db.closing import Addition
from shared.infra.db.statements import Reader
from shared.infra.events.log import headers

DEFAULT_PRIORITY: Final = 5
JOB_PRIORITY: Final = 3
"""What works through a whole catalog lets go first what somebody waits for."""

_ALONE: Final = "select pg_advisory_xact_lock(hashtextextended($1, 0))"
# task_unique
_LOOK: Final = """
select now() as begun, (select id from task where kind = $1 and unique_key = $2 and state in ('ready', 'claimed', 'blocked')) as underway
"""
_COLUMNS: Final = "id, kind, key, unique_key, priority, payload, headers, due_at"
_CASTS: Final = ("text", "text", "text", "text", "smallint", "jsonb", "jsonb")
_WIDTH: Final = len(_CASTS) + 1


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task with the context of the moment. `delay_s` is counted by the database's clock; `priority` is 0 to 9, the greatest first."""

    kind: str
    payload: object
    unique: str | None = None
    delay_s: float = 0.0
    key: str = ""
    priority: int = DEFAULT_PRIORITY
    headers: str = field(default_factory=headers)
    id: str = field(default_factory=lambda: new_id("tsk"))

    def row(self) -> tuple[object, ...]:
        payload = msgspec.json.encode(self.payload).decode()
        return self.id, self.kind, self.key, self.unique, self.priority, payload, self.headers, self.delay_s


async def look_before_job(reader: Reader, task: NewTask) -> Job:
    """The job that `task` will be; raises JobUnderway when one with its unique value has not ended.

    Whoever begins another with that value waits here until this transaction has ended, and finds the job.
    """
    if task.unique is not None:
        await reader.fetchrow(_ALONE, f"{task.kind} {task.unique}")
    row = await reader.fetchrow(_LOOK, task.kind, task.unique)
    if row is None:
        raise AssertionError("the time is one row")
    if row["underway"] is not None:
        raise JobUnderway("another job of this kind is not ended yet", job_id=row["underway"])
    return Job(
        id=task.id, kind=task.kind, status="queued", progress=None, result=None, failure=None, created_at=row["begun"], ended_at=None
    )  # fmt: skip


def insert(tasks: Sequence[NewTask]) -> Addition:
    """A task whose unique value is held by one that has not ended is left out."""
    return Addition(_insert(len(tasks)), [value for task in tasks for value in task.row()])


@lru_cache(maxsize=128)
def _insert(tasks: int) -> str:
    values = ", ".join(_places(_WIDTH * at + 1) for at in range(tasks))
    return f"insert into task ({_COLUMNS}) values {values} on conflict do nothing"  # noqa: S608 - only places of parameters are formatted


def _places(first: int) -> str:
    places = ", ".join(f"${first + at}::{cast}" for at, cast in enumerate(_CASTS))
    return f"({places}, clock_timestamp() + make_interval(secs => ${first + _WIDTH - 1}))"
