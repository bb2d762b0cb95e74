"""The tiny app, started in the tests' own event loop."""

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from structlog.testing import LogCapture

from tests.chassis.api.tiny import Tiny, tiny


@pytest.fixture
async def app() -> AsyncIterator[Tiny]:
    async with tiny() as started:
        yield started


@pytest.fixture
def lines() -> Iterator[LogCapture]:
    """Every structured log line of the test."""
    before = structlog.get_config()
    capture = LogCapture()
    structlog.configure(processors=[capture], cache_logger_on_first_use=False)
    yield capture
    structlog.configure(**before)
