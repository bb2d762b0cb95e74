"""Of many who ask the same at the same time one goes for all, and nobody is told what was looked up before they asked."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context as Variables
from typing import Generic, TypeVar

V = TypeVar("V")


class Flights(Generic[V]):
    """Per key at most one flight is under way; whoever comes meanwhile joins the next, which takes off when that has ended.

    A flight belongs to nobody: it begins without principal, deadline and idempotency key, and goes on when a passenger
    is cancelled. Its error is everybody's who is on board.
    """

    def __init__(self) -> None:
        self._boarding: dict[str, asyncio.Task[V]] = {}
        self._under_way: dict[str, asyncio.Task[V]] = {}

    async def join(self, key: str, fly: Callable[[], Awaitable[V]]) -> V:
        """What `fly` answers, begun after this was called; raises what it raises."""
        flight = self._boarding.get(key)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(self._take_off(key, fly), context=Variables())
            flight.add_done_callback(lambda ended: self._ended(key, ended))
            self._boarding[key] = flight
        return await asyncio.shield(flight)

    async def _take_off(self, key: str, fly: Callable[[], Awaitable[V]]) -> V:
        if (before := self._under_way.get(key)) is not None:
            await asyncio.wait({before})
        self._under_way[key] = self._boarding.pop(key)
        return await fly()

    def _ended(self, key: str, flight: "asyncio.Task[V]") -> None:
        for flights in (self._boarding, self._under_way):
            if flights.get(key) is flight:
                del flights[key]
        if not flight.cancelled():
            flight.exception()  # seen, also where nobody waits any more
