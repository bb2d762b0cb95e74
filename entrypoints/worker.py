"""The worker on its own: delivers events, does tasks, goes on with sagas. Any number of them share the work."""

import asyncio
import signal

import structlog

from entrypoints.container import Root, hosted
from entrypoints.process import running
from shared.infra.telemetry import configure_logging

log = structlog.get_logger(__name__)


async def work(root: Root) -> None:
    """Until SIGINT or SIGTERM; what was begun then ends, and nothing is begun any more."""
    settings = root.settings()
    configure_logging(settings.log_format, settings.log_level, disclosing=settings.environment == "development")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(root, with_worker=True):
        log.info("working", modules=[module.name for module in hosted(root)])
        await stop.wait()
        log.info("stopping")
