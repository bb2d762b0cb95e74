"""What the doctor looks at inside the modules: events that nobody reads, work that failed or is not done, the log's partitions."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from entrypoints.commands.doctor.findings import Finding, error, ok, warning
from shared.infra.db.database import Database
from shared.infra.events.desk import CursorDesk, CursorRow
from shared.module import Module

LATE: Final = timedelta(minutes=1)
AHEAD: Final = timedelta(days=7)
WORKER: Final = "see that a `tenon worker` runs, and read its log"

_DEAD: Final = "select kind, count(*) from task where state = 'dead' group by kind order by kind"
_OVERDUE: Final = """
select count(*) from task where (state = 'ready' and due_at < now() - $1::interval)
    or (state = 'claimed' and claimed_until < now() - $1::interval)
"""
_SAGAS: Final = """
select count(*) filter (where state = 'stuck'),
    count(*) filter (where state <> 'stuck' and due_at < now() - $1::interval
        and (claimed_until is null or claimed_until < now() - $1::interval))
from saga where ended_at is null
"""
_LOG: Final = "select event_strays(), (select max(ends) from event_partition) > now() + $1::interval, now()"


async def backlog(modules: Sequence[Module]) -> list[Finding]:
    found = [finding for module in modules for finding in await _of(module)]
    return found or [ok("backlog", "every event is heard, every task is done or in time, no saga is stuck")]


async def _of(module: Module) -> list[Finding]:
    database = module.database
    ((strays, ahead, now),) = await database.fetch(_LOG, AHEAD)
    return [
        *await _subscriptions(module, now),
        *[_dead(kind, number) for kind, number in await database.fetch(_DEAD)],
        *await _overdue(database),
        *await _sagas(database),
        *_log(module.name, strays, ahead=ahead),
    ]


async def _subscriptions(module: Module, now: datetime) -> list[Finding]:
    desk = CursorDesk(module.database)
    types = {subscription.id: sorted(subscription.on) for subscription in module.subscriptions}
    rows = await desk.all() if types else []
    found = [
        error("subscriptions", f"{name} has no cursor: it hears nothing", "run `tenon db migrate` with the owner's URL")
        for name in sorted(types.keys() - {row.subscription for row in rows})
    ]
    for row in rows:
        behind = await desk.behind(row, types[row.subscription]) if row.subscription in types else 0
        found += _cursor(row, behind, now)
    return found


def _cursor(row: CursorRow, behind: int, now: datetime) -> Iterator[Finding]:
    if row.paused_at is not None:
        says = f"{row.subscription} is paused since {row.paused_at:%Y-%m-%d %H:%M} by {row.paused_by}; {behind} events wait"
        yield warning("subscriptions", says, f"`tenon events resume {row.subscription}` when the reason is gone")
    elif behind and now - row.updated_at > LATE:
        says = f"{row.subscription} has not read on since {row.updated_at:%Y-%m-%d %H:%M:%S}; {behind} events wait"
        yield warning("subscriptions", says, WORKER)


def _dead(kind: str, number: int) -> Finding:
    group = "events" if kind.startswith("event:") else "tasks"
    fix = f"`tenon {group} list --state dead --kind {kind}`, then retry or discard them"
    return warning("dead", f"{number} of {kind} failed for good and wait for a decision", fix)


async def _overdue(database: Database) -> list[Finding]:
    number = await database.fetchval(_OVERDUE, LATE)
    return [warning("tasks", f"{number} tasks of {database.module} are overdue by more than a minute", WORKER)] if number else []


async def _sagas(database: Database) -> list[Finding]:
    ((stuck, overdue),) = await database.fetch(_SAGAS, LATE)
    found = []
    if stuck:
        fix = "`tenon sagas list --state stuck`, see what each waits for, then `tenon sagas resume`"
        found.append(warning("sagas", f"{stuck} sagas of {database.module} are stuck", fix))
    if overdue:
        found.append(warning("sagas", f"{overdue} sagas of {database.module} are overdue by more than a minute", WORKER))
    return found


def _log(module: str, strays: int, *, ahead: bool) -> Iterator[Finding]:
    if strays:
        says = f"{strays} events of {module} lie in no partition of their week, so that these can never be removed"
        yield warning("partitions", says, f"{WORKER}; it makes partitions ahead. The owner moves the strays out of {module}.event_default")
    if not ahead:
        yield warning("partitions", f"the log of {module} has no partition for the week after this one", WORKER)
