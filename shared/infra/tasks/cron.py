"""Recurring work: at every tick of the database's clock a task whose id is the tick, so that any number of schedulers add it once."""

import asyncio
from collections.abc import Sequence
from typing import Final

from shared.infra.events.wakeup import Wakeup
from shared.infra.hosted import Hosted
from shared.infra.supervisor import Loop, idle
from shared.infra.tasks.kind import Cron

LONGEST_WAIT_S: Final = 60.0

# A tick that was missed because no scheduler ran is not made up for; the task of a tick stays in the table, done, for longer than
# any tick lasts, which is what a late scheduler finds there.
_TICK: Final = """
with clock as (select extract(epoch from clock_timestamp())::float8 as now),
tick as (select floor(now / $2::float8)::bigint as number, now from clock),
added as (
    insert into task (id, kind, payload, headers) select 'cron:' || $1 || ':' || number, $1, '{}', '{}' from tick
    on conflict do nothing returning id
)
select (select count(*) from added) as added, (number + 1) * $2::float8 - now as next from tick
"""


class Scheduler:
    """The crons of `modules`."""

    def __init__(self, modules: Sequence[Hosted], wakeup: Wakeup) -> None:
        self._crons = [(module, cron) for module in modules for cron in module.crons]
        self._wakeup = wakeup

    def loops(self) -> list[Loop]:
        return [Loop("crons", self.run)] if self._crons else []

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await idle(stop, None, min(await self.tick(), LONGEST_WAIT_S))

    async def tick(self) -> float:
        """Add the tasks of the present ticks; answers in how many seconds the next one is."""
        return min([await self._add(module, cron) for module, cron in self._crons], default=LONGEST_WAIT_S)

    async def _add(self, module: Hosted, cron: Cron) -> float:
        row = await module.database.fetchrow(_TICK, cron.kind.name, cron.every.total_seconds())
        if row is None:
            raise AssertionError("the clock is one row")
        if row["added"]:
            self._wakeup.ring(module.name)
        return float(row["next"])
