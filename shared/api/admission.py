"""How many requests are worked on at once: as many as there is no queue for, and the others are refused while that is cheap.

The limit follows the one thing that tells overload from mere work: how long what is ready stands in a queue of this process. After
an interval with a standing queue (CoDel's criterion and its numbers, RFC 8289) it is cut to a share of what was really under way;
when it was reached without a queue it grows (AIMD, as TCP's window). So it needs to know neither how long requests take, which
differ a hundredfold, nor the machine; and hundreds that wait for a payment provider are no overload.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Final

LEAST: Final = 24
"""What so few have to do is done soon enough. With fewer, the queue would be one of refusals, which no cut makes shorter."""

MOST: Final = 1024
INTERVAL_S: Final = 0.1
CUT: Final = 0.8
GROWTH: Final = 1 / 16
READS: Final = 0.9
"""Reads are refused first, at this share of the limit: they are easily repeated, where a write may be the last step of many."""


class Admission:
    """`queue_ms` is how long most of what is ready may stand in a queue: the event loop's, or another, of which `waiting` answers
    how many seconds the first has been in it. `now` is in seconds.
    """

    def __init__(
        self, queue_ms: float = 1000.0, *, waiting: Callable[[], float] = lambda: 0.0, now: Callable[[], float] = perf_counter
    ) -> None:
        self._queue_s = queue_ms / 1000
        self._waiting = waiting
        self._now = now
        self._ends = now() + INTERVAL_S
        self._samples = 0
        self._queued = 0
        self._peak = 0
        self.limit = float(MOST)
        self.under_way = 0
        self.refused = 0

    def enter(self, *, reads: bool) -> bool:
        """Whether there is a place; whoever has got one calls `leave`."""
        asyncio.get_running_loop().call_soon(self._turned, self._now())
        wanted = self.under_way + 1
        self._peak = max(self._peak, wanted)
        if wanted > (self.limit * READS if reads else self.limit):
            self.refused += 1
            return False
        self.under_way = wanted
        return True

    def leave(self) -> None:
        self.under_way -= 1

    def _turned(self, since: float) -> None:
        """The event loop has come to what was ready `since` then."""
        now = self._now()
        self._samples += 1
        self._queued += max(now - since, self._waiting()) > self._queue_s
        if now >= self._ends:
            self._adapt()
            self._ends = now + INTERVAL_S
            self._samples, self._queued, self._peak = 0, 0, self.under_way

    def _adapt(self) -> None:
        if self._queued * 2 > self._samples:
            if self._peak > LEAST:
                self.limit = max(LEAST, CUT * min(self.limit, self._peak))
        elif self._peak > READS * self.limit:
            self.limit = min(MOST, self.limit * (1 + GROWTH))
