"""A bulkhead: one slow target fills its own places and a short queue, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.domain.errors import Busy


class Bulkhead:
    """At most `places` at a time, and at most `queue` that wait for one."""

    def __init__(self, name: str, *, places: int, queue: int) -> None:
        self._name = name
        self._queue = queue
        self._free = asyncio.Semaphore(places)
        self.inside = 0
        self.waiting = 0

    @property
    def idle(self) -> bool:
        return not self.inside and not self.waiting

    @asynccontextmanager
    async def place(self, patience_s: float) -> AsyncIterator[None]:
        """Raises Busy when the queue is full, or when no place was free within `patience_s`."""
        if self._free.locked() and self.waiting >= self._queue:
            raise Busy(f"too many calls to {self._name} are waiting", retry_after=1)
        self.waiting += 1
        try:
            async with asyncio.timeout(patience_s):
                await self._free.acquire()
        except TimeoutError:
            raise Busy(f"too many calls to {self._name} are under way", retry_after=1) from None
        finally:
            self.waiting -= 1
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
            self._free.release()
