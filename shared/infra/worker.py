"""All that a process does besides answering requests: events, tasks, crons, sagas."""

import asyncio
from collections.abc import Sequence

from shared.infra.events.dispatcher import Dispatcher
from shared.infra.events.wakeup import Wakeup
from shared.infra.hosted import Hosted
from shared.infra.saga.worker import SagaWorker
from shared.infra.supervisor import Loop, Supervisor
from shared.infra.tasks.cron import Scheduler
from shared.infra.tasks.worker import TaskWorker


class Worker:
    """`modules` are those that this process hosts. Several workers, in one process or in many, share the work."""

    def __init__(self, modules: Sequence[Hosted], *, wakeup: Wakeup | None = None) -> None:
        self.wakeup = wakeup or Wakeup([module.database for module in modules])
        self.dispatcher = Dispatcher(modules, self.wakeup)
        self.tasks = TaskWorker(modules, self.wakeup)
        self.scheduler = Scheduler(modules, self.wakeup)
        self.sagas = SagaWorker(modules, self.wakeup)

    def loops(self) -> list[Loop]:
        return [Loop("wake-up", self.wakeup.run), *self.working()]

    def working(self) -> list[Loop]:
        """Those that begin something. The wake-up only says what was committed, also by requests."""
        return [*self.dispatcher.loops(), *self.tasks.loops(), *self.sagas.loops(), *self.scheduler.loops()]

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set and what was begun has ended."""
        await Supervisor(self.loops()).run(stop)

    async def drain(self) -> None:
        """Work until nothing is due: no event unread, no task whose time has come, no saga that could go on. Starts no cron."""
        while True:
            done = await self.dispatcher.drain() + await self.tasks.drain() + await self.sagas.drain()
            if not done:
                return
