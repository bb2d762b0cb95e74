"""Recurring work: a task per tick of the database's clock, added once by whichever of any number of schedulers comes first."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from shared.infra.events.wakeup import Wakeup
from shared.infra.hosted import Hosted
from shared.infra.supervisor import Loop, idle
from shared.infra.tasks.kind import Cron
from shared.infra.tasks.upkeep import crons_of

log = structlog.get_logger(__name__)

LONGEST_WAIT_S: Final = 60.0

# A cron that nobody has run yet begins with the present tick.
_PLACE: Final = """
insert into cron (kind, tick) select $1, floor(extract(epoch from clock_timestamp()) / $2::float8)::bigint - 1 on conflict do nothing
"""
# Whoever locks the row first adds the tasks of all ticks since; who waited for it finds the row moved, and adds nothing.
_TICK: Final = """
with clock as materialized (select extract(epoch from clock_timestamp())::float8 as now),
present as (select floor(now / $2::float8)::bigint as tick, now from clock),
held as (
    select c.kind, c.tick + 1 as first, p.tick as last from cron c, present p where c.kind = $1 and c.tick < p.tick for update of c
),
moved as (update cron set tick = held.last from held where cron.kind = held.kind),
added as (
    insert into task (id, kind, payload, headers) select 'cron:' || held.kind || ':' || tick, held.kind, '{}', '{}'
    from held, generate_series(greatest(held.first, held.last - $3::bigint + 1), held.last) tick
    on conflict do nothing returning id
)
select (select count(*) from added) as added, (select last - first from held) as missed, (tick + 1) * $2::float8 - now as next from present
"""


class Scheduler:
    """The crons of `modules`, the chassis' own included."""

    def __init__(self, modules: Sequence[Hosted], wakeup: Wakeup) -> None:
        self._crons = [(module, cron) for module in modules for cron in crons_of(module)]
        self._wakeup = wakeup
        self._placed: set[tuple[str, str]] = set()

    def loops(self) -> list[Loop]:
        return [Loop("crons", self.run)]

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await idle(stop, None, min(await self.tick(), LONGEST_WAIT_S))

    async def tick(self) -> float:
        """Add the tasks of the ticks that have come; answers in how many seconds the next one will."""
        return min([await self._add(module, cron) for module, cron in self._crons], default=LONGEST_WAIT_S)

    async def _add(self, module: Hosted, cron: Cron) -> float:
        name, every_s = cron.kind.name, cron.every.total_seconds()
        if (module.name, name) not in self._placed:
            await module.database.fetch(_PLACE, name, every_s)
            self._placed.add((module.name, name))
        row = await module.database.fetchrow(_TICK, name, every_s, cron.catch_up)
        if row is None:
            raise AssertionError("the clock is one row")
        if row["missed"]:
            log.warning("ticks_missed", module=module.name, kind=name, missed=row["missed"], made_up=row["added"] - 1)
        if row["added"]:
            self._wakeup.ring(module.name)
        return float(row["next"])
