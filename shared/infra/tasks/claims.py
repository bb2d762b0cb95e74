"""Taking tasks from a module's table, and storing by compare-and-swap how they ended. Time is the database's."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from shared.domain.ids import new_id
from shared.infra.db.database import Database
from shared.infra.db.statements import Reader
from shared.infra.tasks.claimed import Claimed
from shared.infra.tasks.retry import LOST_LIMIT

CLAIM_S: Final = 15.0
# Compared with now(), which the planner may look up in an index, unlike clock_timestamp(): there may be many timers in the future.
_CLAIM: Final = """
with picked as materialized (
    select due.id from generate_series(9, 0, -1) level cross join lateral (
        select t.id from task t
        where t.state = 'ready' and t.priority = level and t.due_at <= now() and t.kind = any($2)
            and (t.key = '' or not exists (
                select from task before where before.kind = t.kind and before.key = t.key and before.key <> ''
                    and before.state in ('ready', 'claimed', 'blocked', 'dead') and (before.seq < t.seq or before.state = 'claimed')))
        order by t.due_at, t.seq limit $3 for update of t skip locked
    ) due limit $3
)
update task set state = 'claimed', claim = $1, claimed_until = clock_timestamp() + make_interval(secs => $4), attempts = attempts + 1
from picked where task.id = picked.id
returning task.id, task.kind, task.key, task.payload, task.headers, task.progress, task.attempts
"""

# A row that its own step has locked is passed over: that step renews the claim when it commits.
_RENEW: Final = """
with free as (
    select id from task where id = any($1) and claim = any($2) and state = 'claimed' for update skip locked
), renewed as (
    update task set claimed_until = clock_timestamp() + make_interval(secs => $3) from free where task.id = free.id returning task.id
)
select id, id in (select id from renewed) as renewed, cancelled_by is not null as cancelled
from task where id = any($1) and claim = any($2) and state = 'claimed'
"""

# What failed, or stopped, is not tried again when somebody has cancelled it.
_SETTLE: Final = """
with given as (
    select * from unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::text[], $6::boolean[], $7::text[])
        as given (id, claim, state, delay, error, counted, result)
), settled as (
    update task set
        state = case when given.state <> 'done' and cancelled_by is not null then 'discarded' else given.state end,
        reason = case when given.state <> 'done' and cancelled_by is not null then 'cancelled' else reason end,
        ended_by = case when given.state <> 'done' and cancelled_by is not null then cancelled_by else ended_by end,
        claim = null, claimed_until = null,
        attempts = attempts - (not given.counted)::integer,
        lost = case when given.state = 'ready' then lost else 0 end,
        due_at = case when given.state = 'ready' then clock_timestamp() + make_interval(secs => given.delay) else due_at end,
        last_error = coalesce(given.error, last_error),
        result = given.result::jsonb,
        ended_at = case when given.state in ('done', 'dead') or cancelled_by is not null then clock_timestamp() end
    from given where task.id = given.id and task.claim = given.claim and task.state = 'claimed'
    returning task.id, task.kind, task.key, task.state
), next as (
    update task set state = 'ready', due_at = clock_timestamp()
    where state = 'blocked' and id in (
        select (select b.id from task b where b.kind = settled.kind and b.key = settled.key and b.key <> ''
            and b.state = 'blocked' order by b.seq limit 1)
        from settled where settled.key <> '' and settled.state = 'done'
    )
)
select id from settled
"""

# What a worker that died has left, and what the end of a lane's head has overlooked because it came in the same moment.
_RECLAIM: Final = """
update task set
    state = case when cancelled_by is not null then 'discarded' when lost + 1 >= $1 then 'dead' else 'ready' end,
    reason = case when cancelled_by is not null then 'cancelled' else reason end, ended_by = cancelled_by,
    lost = lost + 1, claim = null, claimed_until = null,
    due_at = clock_timestamp(), last_error = 'the worker vanished while it ran this task',
    ended_at = case when lost + 1 >= $1 or cancelled_by is not null then clock_timestamp() end
where id = any(array(
    select id from task where state = 'claimed' and claimed_until < now()
    order by claimed_until limit 100 for update skip locked))
returning id, kind, state
"""
_UNBLOCK: Final = """
update task set state = 'ready', due_at = clock_timestamp()
where state = 'blocked' and id = any(array(
    select b.id from task b where b.state = 'blocked' and not exists (
        select from task before where before.kind = b.kind and before.key = b.key and before.key <> '' and before.seq < b.seq
            and before.state in ('ready', 'claimed', 'blocked', 'dead'))
    limit 500))
returning id
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `counted` False gives the try back: nothing was wrong with the task. `result` is kept as JSON."""

    task: Claimed
    state: str
    delay_s: float = 0.0
    error: str | None = None
    counted: bool = True
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Reclaimed:
    id: str
    kind: str
    state: str


class Claims:
    """One module's task table, as a worker uses it."""

    def __init__(self, database: Database, *, claim_s: float = CLAIM_S) -> None:
        self._database = database
        self.claim_s = claim_s

    async def claim(self, kinds: Sequence[str], most: int) -> list[Claimed]:
        """At most `most` tasks that are due; raises asyncpg's UniqueViolationError when another worker came first in a lane.

        A lane has two heads only in rare interleavings; the index lets one of them through.
        """
        claim = new_id("clm")
        ends = monotonic() + self.claim_s
        rows = await self._database.fetch(_CLAIM, claim, list(kinds), most, self.claim_s)
        return [Claimed(**row, claim=claim, ends=ends) for row in rows]

    async def renew(self, tasks: Sequence[Claimed]) -> list[Claimed]:
        """Move their claims on, and tell each that is to end; answers those that were lost, which are stopped."""
        ids, claims = [task.id for task in tasks], sorted({task.claim for task in tasks})
        ends = monotonic() + self.claim_s
        ours = {row["id"]: row for row in await self._database.fetch(_RENEW, ids, claims, self.claim_s)}
        for task in tasks:
            row = ours.get(task.id)
            if row is None:
                task.lost()
                continue
            if row["renewed"]:
                task.renewed(ends)
            if row["cancelled"]:
                task.cancelled.set()
        return [task for task in tasks if task.id not in ours]

    async def settle(self, outcomes: Sequence[Outcome], reader: Reader | None = None) -> set[str]:
        """Answers the ids of those that were still ours; the others belong to whoever claimed them since."""
        columns: tuple[list[object], ...] = (
            [outcome.task.id for outcome in outcomes],
            [outcome.task.claim for outcome in outcomes],
            [outcome.state for outcome in outcomes],
            [outcome.delay_s for outcome in outcomes],
            [outcome.error for outcome in outcomes],
            [outcome.counted for outcome in outcomes],
            [outcome.result for outcome in outcomes],
        )
        return {row["id"] for row in await (reader or self._database).fetch(_SETTLE, *columns)}

    async def reclaim(self) -> list[Reclaimed]:
        """Free what the claims of vanished workers hold."""
        return [Reclaimed(*row) for row in await self._database.fetch(_RECLAIM, LOST_LIMIT)]

    async def unblock(self) -> int:
        return len(await self._database.fetch(_UNBLOCK))
