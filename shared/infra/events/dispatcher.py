"""Carries events from the logs to the subscriptions of this process; any number of dispatchers share the work."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog

from shared.domain.errors import Unavailable
from shared.domain.ids import new_id
from shared.infra.db.database import Database
from shared.infra.db.errors import connection_lost
from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.events.batch import Batch, Taken
from shared.infra.events.cursor import Cursor, Mark
from shared.infra.events.registry import Consumer, Registry
from shared.infra.events.wakeup import Wakeup
from shared.infra.hosted import Hosted
from shared.infra.supervisor import Loop, Supervisor, idle

log = structlog.get_logger(__name__)

POLL_S: Final = 1.0
CONTENDED_S: Final = 0.25
"""How soon to look again where another dispatcher is at work: it may die."""

_SAME_CLUSTER: Final = """
select exists (select from cluster_identity where system_identifier = (select system_identifier from pg_control_system()))
"""


class WrongCluster(Exception):
    """This database was moved from another cluster, whose transaction ids mean nothing here: `tenon events rebase` first."""


async def check_cluster(database: Database) -> None:
    if not await database.fetchval(_SAME_CLUSTER):
        raise WrongCluster(f"the cursors of {database.module} come from another cluster: run `tenon events rebase`")


class Reading:
    """One subscription, as this process works on it."""

    def __init__(self, consumer: Consumer, wakeup: Wakeup) -> None:
        module = consumer.module
        self.name = f"events of {consumer.subscription.id}"
        self._consumer = consumer
        self._cursor = Cursor(consumer)
        self._database = module.database
        self._wakeup = wakeup
        self._ear = wakeup.ear(consumer.subscription.publisher)
        self._token = new_id("dsp")
        self._checked = False
        self._transact: Transact[UnitOfWork] = Transact(
            module.database, lambda uow: uow, events=module.publishes, tasks=[kind.name for kind in module.tasks], sagas=module.sagas
        )

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._ear.clear()
            mark, taken = await self.look()
            if not (taken.events or taken.more or mark.more):
                await idle(stop, self._ear, CONTENDED_S if mark.contended else POLL_S)

    async def look(self) -> tuple[Mark, Taken]:
        """One batch, when there is something to do and nobody else is doing it."""
        if not self._checked:
            await check_cluster(self._database)
            self._checked = True
        mark = await self._cursor.mark(self._database, self._token)
        if mark.group is None:
            return mark, Taken()
        if mark.left_behind:
            log.warning("batch_left_behind", subscription=self._consumer.subscription.id)
        taken = await self._batch(mark.group, mark.suspicious)
        if taken.carried:
            self._wakeup.ring(self._consumer.module.name)
        return mark, taken

    async def _batch(self, group: int, suspicious: bool) -> Taken:
        batch = Batch(self._consumer, self._cursor, group, self._token, one_by_one=suspicious)
        try:
            if suspicious:
                await self._transact(batch.count)
            return await self._transact(batch.run)
        except Unavailable as error:
            # Deadlocks and a lack of connections are nobody's fault. A lost session may be the event's: the mark stays.
            if not connection_lost(error):
                with suppress(Exception):
                    await self._cursor.forget(self._database, self._token)
            raise


class Dispatcher:
    """The subscriptions of `modules`, each read by a loop of its own, so that none waits for another."""

    def __init__(self, modules: Sequence[Hosted], wakeup: Wakeup) -> None:
        self._readings = [Reading(consumer, wakeup) for consumer in Registry(modules).consumers]

    def loops(self) -> list[Loop]:
        return [Loop(reading.name, reading.run) for reading in self._readings]

    async def run(self, stop: asyncio.Event) -> None:
        await Supervisor(self.loops()).run(stop)

    async def drain(self) -> int:
        """Until no subscription has an event left that can be handled now; answers how many there were."""
        total = 0
        while True:
            handled, waiting = 0, False
            for reading in self._readings:
                mark, taken = await reading.look()
                handled += taken.events
                waiting = waiting or mark.more or mark.contended or taken.more
            total += handled
            if not handled and not waiting:
                return total
            if not handled:
                await asyncio.sleep(0.005)  # another process is in the middle of a batch
