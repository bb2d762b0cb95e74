"""What a process is made of while it runs: its loops, and at the end everything closed that it opened."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from entrypoints.container import Root, hosted
from entrypoints.measuring import measure
from shared.infra.db.connections import Connections
from shared.infra.events.wakeup import Wakeup
from shared.infra.supervisor import Loop, idle, supervised
from shared.infra.tracing import exporting
from shared.infra.worker import Worker

REAP_EVERY_S: Final = 5.0


@asynccontextmanager
async def running(root: Root, *, with_worker: bool) -> AsyncIterator[None]:
    """A process that only answers requests still tells the workers what it has committed."""
    connections: Connections = root.shared.connections()
    loops = [Loop("connections", lambda stop: reap(connections, stop))]
    if with_worker:
        loops += build_worker(root).loops()
    else:
        loops.append(Loop("wake-up", Wakeup([module.database for module in hosted(root)]).run))
    if root.settings().metrics_port:
        measure(root, loops, [])
    try:
        async with exporting(root.settings().otlp_endpoint), supervised(loops):
            settle_garbage()
            yield
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
