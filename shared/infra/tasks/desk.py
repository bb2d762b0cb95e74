"""What an operator can do with the tasks of one module: list them, look at one, try it again, give it up for a reason."""

from datetime import datetime
from typing import Any, Final

import msgspec
import structlog

from shared.domain.errors import Conflict, NotFound
from shared.infra.db.database import Database
from shared.infra.tasks.cancelling import CANCEL

log = structlog.get_logger(__name__)

_COLUMNS: Final = "id, kind, key, state, priority, attempts, lost, last_error, created_at, due_at, claimed_until, cancelled_by, ended_at"

# Events travel in tasks whose kinds begin with `event:`; $1 says which of the two are asked for.
_ASKED: Final = "starts_with(kind, 'event:') = $1"

_LIST: Final = f"""
select {_COLUMNS} from task
where {_ASKED} and ($2::text is null and state in ('ready', 'claimed', 'blocked', 'dead') or state = $2)
    and ($3::text is null or kind = $3) and ($4::text is null or key = $4) and id < coalesce($5::text, '~')
order by id desc limit $6
"""  # noqa: S608 - constants of ours
_SHOW: Final = f"select {_COLUMNS} from task where {_ASKED} and id = $2"  # noqa: S608 - constants of ours
_DETAILS: Final = "select payload, headers, progress, result, reason, ended_by from task where id = $1"

# Of several with one unique value only one may be alive: another one, and the oldest of the dead, go first.
_ALONE: Final = """not exists (select from task other where other.kind = task.kind and other.unique_key = task.unique_key
    and (other.state in ('ready', 'claimed', 'blocked') or (other.state = 'dead' and other.seq < task.seq)))"""
_RETRY: Final = f"""
update task set state = 'ready', due_at = clock_timestamp(), attempts = 0, lost = 0, ended_at = null
where {_ASKED} and id = $2 and (state = 'ready' or state = 'dead' and {_ALONE}) returning id
"""  # noqa: S608 - constants of ours
_RETRY_DEAD: Final = f"""
update task set state = 'ready', due_at = clock_timestamp(), attempts = 0, lost = 0, ended_at = null
where id = any(array(select id from task where {_ASKED} and kind = $2 and state = 'dead' and {_ALONE} order by seq limit $3)) returning id
"""  # noqa: S608 - constants of ours
_CANCEL: Final = f"{CANCEL.format(by='$3')} where {_ASKED} and id = $2 and state in ('ready', 'blocked', 'claimed') returning state"
_DISCARD: Final = f"""
update task set state = 'discarded', reason = $3, ended_by = $4, ended_at = clock_timestamp()
where {_ASKED} and id = $2 and state in ('ready', 'blocked', 'dead') returning id
"""  # noqa: S608 - constants of ours


class NotNow(Conflict):
    """The task is in a state that does not allow this: it runs, waits behind another, has ended, or another with its unique value
    comes first."""

    code = "task_not_now"
    title = "Not possible in the task's present state"


class TaskRow(msgspec.Struct, frozen=True):
    id: str
    kind: str
    key: str
    state: str
    priority: int
    attempts: int
    lost: int
    last_error: str | None
    created_at: datetime
    due_at: datetime
    claimed_until: datetime | None
    cancelled_by: str | None
    ended_at: datetime | None


class TaskSheet(msgspec.Struct, frozen=True):
    """Everything known about one task. The payload of one that carries an event is the event with its envelope."""

    task: TaskRow
    payload: Any
    headers: Any
    progress: Any
    result: Any
    reason: str | None
    ended_by: str | None


class TaskDesk:
    """`events` chooses the tasks that carry events; without it, it is all others."""

    def __init__(self, database: Database, *, events: bool) -> None:
        self._database = database
        self._events = events

    async def list(
        self, *, state: str | None = None, kind: str | None = None, key: str | None = None, before: str | None = None, limit: int = 50
    ) -> list[TaskRow]:
        """The newest first; those that have not ended well or by discard, unless a state is named."""
        return await self._database.views(TaskRow, _LIST, self._events, state, kind, key, before, limit)

    async def show(self, task_id: str) -> TaskSheet:
        task = await self._database.view(TaskRow, _SHOW, self._events, task_id)
        details = await self._database.fetchrow(_DETAILS, task_id)
        if task is None or details is None:
            raise NotFound(f"there is no such task: {task_id}")
        payload, headers, progress, result = (msgspec.json.decode(text or "null") for text in details[:4])
        return TaskSheet(task, payload, headers, progress, result, details["reason"], details["ended_by"])

    async def retry(self, task_id: str) -> None:
        """Due now, with its tries counted from nought; raises NotFound, NotNow."""
        if await self._database.fetchval(_RETRY, self._events, task_id) is None:
            raise NotNow(f"{task_id} is {await self._state(task_id)}")
        log.info("task_retried", module=self._database.module, task=task_id)

    async def retry_dead(self, kind: str, *, limit: int) -> int:
        """The oldest dead ones of a kind; answers how many. To be repeated until it answers none."""
        retried = len(await self._database.fetch(_RETRY_DEAD, self._events, kind, limit))
        log.info("tasks_retried", module=self._database.module, kind=kind, tasks=retried)
        return retried

    async def discard(self, task_id: str, *, reason: str, by: str) -> None:
        """Give it up for good; what waits behind it goes on. Safe to repeat. Raises NotFound, NotNow."""
        if await self._database.fetchval(_DISCARD, self._events, task_id, reason, by) is None:
            state = await self._state(task_id)
            if state == "discarded":
                return
            raise NotNow(f"{task_id} is {state}")
        log.warning("task_discarded", module=self._database.module, task=task_id, reason=reason, by=by)

    async def cancel(self, task_id: str, *, by: str) -> str:
        """End it at once while it waits; tell it to end while it runs. Answers its state. Safe to repeat; raises NotFound, NotNow."""
        state = await self._database.fetchval(_CANCEL, self._events, task_id, by)
        if state is None and (state := await self._state(task_id)) != "discarded":
            raise NotNow(f"{task_id} is {state}")
        log.warning("task_cancelled", module=self._database.module, task=task_id, state=state, by=by)
        return str(state)

    async def _state(self, task_id: str) -> str:
        task = await self._database.view(TaskRow, _SHOW, self._events, task_id)
        if task is None:
            raise NotFound(f"there is no such task: {task_id}")
        return task.state
