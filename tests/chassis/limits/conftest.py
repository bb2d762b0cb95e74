"""What counts requests in one process, and in two; and callers whom nobody has met before."""

import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.infra.limits.limits import Limits
from tests.chassis.limits.wire import Wire, connected

Process = Callable[..., Limits]


@pytest.fixture
def caller() -> str:
    return f"user:usr_{secrets.token_hex(8)}"


@pytest.fixture
async def wire(valkey_url: str) -> AsyncIterator[Wire]:
    async with Wire(valkey_url).stretched() as stretched:
        yield stretched


@pytest.fixture
async def process(valkey_url: str) -> AsyncIterator[Process]:
    """Called twice, it is two processes."""
    opened: list[Redis] = []

    def begin(url: str = valkey_url, **options: Any) -> Limits:
        opened.append(connected(url))
        return Limits(opened[-1], **options)

    yield begin
    for redis in opened:
        await redis.aclose()
