"""The worker on its own: delivers events, does tasks, goes on with sagas. Any number of them share the work."""

import asyncio

import structlog

from entrypoints.container import Root, hosted
from entrypoints.ending import Ending, wishes
from entrypoints.process import running
from shared.infra.config import Settings
from shared.infra.telemetry import configure_logging

log = structlog.get_logger(__name__)


async def work(root: Root) -> int:
    """Until a signal ends it; what was begun then ends, and nothing is begun any more. Answers the status to end with."""
    settings: Settings = root.settings()
    configure_logging(settings.log_format, settings.log_level, disclosing=settings.environment == "development")
    ending = Ending(settings.drain_seconds)
    for number in wishes():
        asyncio.get_running_loop().add_signal_handler(number, ending.hear, number)
    async with running(root, with_worker=True, ending=ending):
        log.info("working", modules=[module.name for module in hosted(root)])
        await ending.asked.wait()
        log.info("stopping")
    log.info("stopped", after_s=round(ending.elapsed, 1))
    return ending.status
