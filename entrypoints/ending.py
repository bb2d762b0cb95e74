"""How a process comes to its end: a first signal asks for it, a second one cuts it short."""

import asyncio
import signal
from time import monotonic
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, whoever runs it, and a terminal that is closed."""

SAME_WISH_S: Final = 0.5
"""A terminal, a container and a parent may each pass on the same signal."""


def wishes() -> list[signal.Signals]:
    """The signals that mean it: what was started with `nohup` goes on when its terminal is closed."""
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


class Ending:
    """What was begun when it was `asked` for may go on for `drain_s` seconds; `cut` ends that early.

    `status` is what the process ends with: 0, after a cut what a shell says of one that a signal has ended, and 1 when it was `broken`.
    """

    def __init__(self, drain_s: float = 25.0) -> None:
        self.asked = asyncio.Event()
        self.cut = asyncio.Event()
        self.drain_s = drain_s
        self.status = 0
        self._since = 0.0

    def hear(self, number: int, _: FrameType | None = None) -> None:
        """For signals: called in the thread of the event loop."""
        if not self.asked.is_set():
            self.ask()
        elif self.elapsed >= SAME_WISH_S and not self.cut.is_set():
            self.status = 128 + number
            self.cut.set()

    def ask(self) -> None:
        if not self.asked.is_set():
            self._since = monotonic()
            self.asked.set()

    def broken(self) -> None:
        """Something without which it is of no use has failed: whoever runs it will start it anew."""
        self.status = 1
        self.ask()

    @property
    def elapsed(self) -> float:
        """Seconds since it was asked for."""
        return monotonic() - self._since if self.asked.is_set() else 0.0

    @property
    def left(self) -> float:
        """Seconds that what was begun still has."""
        return 0.0 if self.cut.is_set() else max(0.0, self.drain_s - self.elapsed)
