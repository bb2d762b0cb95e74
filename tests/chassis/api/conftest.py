"""The tiny app, started in the tests' own event loop."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.chassis.api.tiny import Tiny, tiny


@pytest.fixture
async def app() -> AsyncIterator[Tiny]:
    async with tiny() as started:
        yield started


@pytest.fixture
def lines() -> Iterator[list[MutableMapping[str, Any]]]:
    """Every structured log line of the test."""
    with capture_logs() as entries:
        yield entries
