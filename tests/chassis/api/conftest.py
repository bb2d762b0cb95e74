"""The tiny app, started in the tests' own event loop."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from shared.api import failures, health, middleware
from tests.chassis.api.tiny import Tiny, tiny


@pytest.fixture
async def app() -> AsyncIterator[Tiny]:
    async with tiny() as started:
        yield started


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[MutableMapping[str, Any]]]:
    """Every structured log line of the test, at whatever level a whole application logged before in this process."""
    settled = structlog.get_config()
    structlog.reset_defaults()
    for place in (middleware, failures, health):
        monkeypatch.setattr(place, "_log", structlog.get_logger())
    with capture_logs() as entries:
        yield entries
    structlog.configure(**settled)
