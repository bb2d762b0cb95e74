"""Waiting in tests: for something that will be true, never for a length of time."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T | None]], *, within_s: float = 60.0) -> T:
    """The first true answer of `look`; fails when there is none in time."""
    ends = monotonic() + within_s
    while True:
        answer = await look()
        if answer:
            return answer
        assert monotonic() < ends, f"not within {within_s} s: {look}"
        await asyncio.sleep(0.01)
