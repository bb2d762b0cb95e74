"""What a process is made of while it runs: its loops, and at the end everything closed that it opened."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from entrypoints.container import Root, hosted
from entrypoints.ending import Ending
from entrypoints.measuring import measure
from shared.infra.config import Settings
from shared.infra.db.connections import Connections
from shared.infra.events.wakeup import Wakeup
from shared.infra.supervisor import Loop, idle, supervised
from shared.infra.tracing import exporting
from shared.infra.worker import Worker

REAP_EVERY_S: Final = 5.0
LAST_S: Final = 2.0


@asynccontextmanager
async def running(root: Root, *, with_worker: bool, ending: Ending | None = None) -> AsyncIterator[None]:
    """What works ends as soon as that is asked for; what is there for others, as requests are, goes on until this is left."""
    ending = ending or Ending()
    settings: Settings = root.settings()
    connections: Connections = root.shared.connections()
    worker = build_worker(root) if with_worker else None
    wakeup = worker.wakeup if worker else Wakeup([module.database for module in hosted(root)])
    working = worker.working() if worker else []
    beside = [Loop("connections", lambda stop: reap(connections, stop)), Loop("wake-up", wakeup.run)]
    if settings.metrics_port:
        measure(root, beside, working)
    try:
        async with (
            exporting(settings.otlp_endpoint),
            supervised(beside, grace_s=LAST_S),
            supervised(working, stop=ending.asked, cut=ending.cut, grace_s=ending.drain_s),
        ):
            settle_garbage()
            try:
                yield
            finally:
                ending.ask()
    finally:
        await connections.close()
        await root.shared.redis().aclose()


def build_worker(root: Root) -> Worker:
    return Worker(hosted(root))


async def reap(connections: Connections, stop: asyncio.Event) -> None:
    while not stop.is_set():
        connections.reap()
        await idle(stop, None, REAP_EVERY_S)


def settle_garbage() -> None:
    """What was loaded stays: it is never looked at again, and full collections become rare."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
