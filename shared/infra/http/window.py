"""Counting over the last seconds."""

from collections import Counter, deque
from collections.abc import Callable
from typing import Final, Literal

Monotonic = Callable[[], float]
Counted = Literal["call", "failure", "slow", "retry"]

SLICES: Final = 10


class Window:
    """What is older than `seconds` falls out, a tenth of them at a time."""

    def __init__(self, seconds: float, now: Monotonic) -> None:
        self._width = seconds / SLICES
        self._now = now
        self._slices: deque[tuple[int, Counter[Counted]]] = deque()

    def add(self, *what: Counted) -> None:
        slice_now = int(self._now() // self._width)
        if not self._slices or self._slices[-1][0] != slice_now:
            self._slices.append((slice_now, Counter()))
        self._slices[-1][1].update(what)

    def count(self, what: Counted) -> int:
        oldest = int(self._now() // self._width) - SLICES
        while self._slices and self._slices[0][0] <= oldest:
            self._slices.popleft()
        return sum(counts[what] for _, counts in self._slices)
