"""What waits in the modules' tables: events unread, tasks and sagas by state, checks that fail; looked up seldom and briefly."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

import structlog

from shared.infra.db.statements import Row
from shared.infra.events.desk import CursorDesk
from shared.infra.events.registry import EVENT_KIND
from shared.infra.hosted import Hosted
from shared.infra.metrics.instruments import Family, Labels

log = structlog.get_logger(__name__)

GOOD_FOR_S: Final = 10.0
WITHIN_S: Final = 0.5
"""For each module, and for each check: what takes longer is left out of this scrape, and told to be failing."""

TASK_STATES: Final = ("ready", "claimed", "blocked", "dead")
SAGA_STATES: Final = ("running", "waiting", "compensating", "stuck")

# Each part walks the index of its state; counting stops at ten thousand, where an exact number helps nobody any more.
_TASKS: Final = """
select kind, state, count(*)::float8, coalesce(max(extract(epoch from now() - due)), 0)::float8 from (
    (select kind, state, due_at as due from task where state = 'ready' limit 10000)
    union all (select kind, state, claimed_until from task where state = 'claimed' limit 10000)
    union all (select kind, state, null from task where state = 'blocked' limit 10000)
    union all (select kind, state, null from task where state = 'dead' limit 10000)
) unended group by kind, state
"""
_SAGAS: Final = """
select name, state, count(*)::float8, coalesce(max(extract(epoch from now() - greatest(due_at, claimed_until))), 0)::float8
from (select name, state, due_at, claimed_until from saga where ended_at is null limit 10000) unended group by name, state
"""
_STRAYS: Final = "select event_strays()::float8"

FAMILIES: Final[Mapping[str, tuple[str, Labels]]] = {
    "tenon_subscription_lag_events": ("Events that a subscription has not read yet, counted up to ten thousand.", ("subscription",)),
    "tenon_subscription_lag_seconds": ("Age of the oldest event that a subscription has not read yet.", ("subscription",)),
    "tenon_subscription_paused": ("1 while an operator has paused a subscription.", ("subscription",)),
    "tenon_tasks": ("Tasks that have not ended, counted to ten thousand; a dead one waits for an operator.", ("module", "kind", "state")),
    "tenon_tasks_overdue_seconds": ("How long the task that is due the longest has waited for a worker.", ("module", "kind")),
    "tenon_sagas": ("Sagas that have not ended; stuck ones are tried on, seldom.", ("module", "saga", "state")),
    "tenon_sagas_overdue_seconds": ("How long the saga that is due the longest has waited for a worker.", ("module", "saga")),
    "tenon_event_log_strays": ("Events that lie outside the partition of their week, counted up to a thousand.", ("module",)),
    "tenon_check_passing": ("1 where what readiness looks at is as it should be.", ("check",)),
}

Points = dict[tuple[str, Labels], float]


class Backlog:
    """`checks` are probes by name that raise, as readiness has them; each module's own are looked at, too.

    What was read is good for `good_for_s`, whoever asks. Of a module whose database does not answer nothing is told but that.
    """

    def __init__(
        self, modules: Sequence[Hosted], checks: Mapping[str, Callable[[], Awaitable[object]]], *, good_for_s: float = GOOD_FOR_S
    ) -> None:
        self._modules = tuple(modules)
        self._checks = dict(checks)
        self._good_for_s = good_for_s
        self._good_until = 0.0
        self._points: Points = {}
        self._reading = asyncio.Lock()

    async def families(self) -> list[Family]:
        async with self._reading:
            if monotonic() >= self._good_until:
                self._points = await self._read()
                self._good_until = monotonic() + self._good_for_s
        return [
            Family(name, "gauge", says, labels, [(values, value) for (of, values), value in self._points.items() if of == name])
            for name, (says, labels) in FAMILIES.items()
        ]

    async def _read(self) -> Points:
        """One after the other: a scrape never takes more than one of the connections."""
        points: Points = {}
        for module in self._modules:
            async with _looking(f"database:{module.name}", points):
                points |= await _of(module)
        for name, probe in self._checks.items():
            async with _looking(name, points):
                await probe()
        return points


@asynccontextmanager
async def _looking(check: str, points: Points) -> AsyncIterator[None]:
    """Whatever is raised inside, or takes too long, is how the check ended."""
    passing = 0.0
    try:
        async with asyncio.timeout(WITHIN_S):
            yield
        passing = 1.0
    except Exception as error:  # noqa: BLE001 - a scrape answers with what there is
        log.warning("check_failing", check=check, error=error)
    points["tenon_check_passing", (check,)] = passing


async def _of(module: Hosted) -> Points:
    """Raises what the database raises; then nothing of the module is told."""
    name, database = module.name, module.database
    points: Points = {("tenon_event_log_strays", (name,)): await database.fetchval(_STRAYS)}
    points |= await _subscriptions(module)
    kinds = [kind.name for kind in module.tasks] + [EVENT_KIND + subscription.id for subscription in module.subscriptions]
    sagas = [saga.name for saga in module.sagas]
    points |= _by_state("tasks", name, kinds, TASK_STATES, await database.fetch(_TASKS))
    points |= _by_state("sagas", name, sagas, SAGA_STATES, await database.fetch(_SAGAS))
    return points


async def _subscriptions(module: Hosted) -> Points:
    """Of several groups, the one that is worst off."""
    types = {subscription.id: sorted(subscription.on) for subscription in module.subscriptions}
    points: Points = {}
    desk = CursorDesk(module.database)
    for row in await desk.all() if types else ():
        if row.subscription not in types:
            continue
        lag = await desk.lag(row, types[row.subscription])
        found = {"lag_events": float(lag.events), "lag_seconds": lag.seconds, "paused": float(row.paused_at is not None)}
        for what, value in found.items():
            of = (f"tenon_subscription_{what}", (row.subscription,))
            points[of] = max(points.get(of, 0.0), value)
    return points


def _by_state(what: str, module: str, declared: Sequence[str], states: Sequence[str], rows: Sequence[Row]) -> Points:
    """Every declared kind in every state, so that a figure falls to nought and does not vanish; and what the rows say."""
    points: Points = {(f"tenon_{what}", (module, kind, state)): 0.0 for kind in declared for state in states}
    overdue = dict.fromkeys(declared, 0.0)
    for kind, state, number, seconds in rows:
        points[f"tenon_{what}", (module, kind, state)] = number
        overdue[kind] = max(overdue.get(kind, 0.0), seconds)
    return points | {(f"tenon_{what}_overdue_seconds", (module, kind)): seconds for kind, seconds in overdue.items()}
