"""A circuit breaker: a target that fails too often, or is too slow, is left alone for a while, then asked by a few."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from time import monotonic
from types import TracebackType
from typing import Final, Literal, Self

from shared.domain.outbound import CircuitOpen
from shared.infra.http.window import Counted, Monotonic, Window

State = Literal["closed", "open", "half_open", "isolated"]
Outcome = Literal["answer", "failure"] | None


@dataclass(frozen=True, kw_only=True)
class BreakerPolicy:
    """It opens when `failure_ratio` of the last `window_s`' calls failed, or `slow_ratio` of them took `slow_s`, if they were `minimum`.

    After `open_s`, or as long as the target asked for up to `longest_open_s`, `probes` calls go through, and all have to succeed.
    """

    window_s: float = 30.0
    minimum: int = 20
    failure_ratio: float = 0.5
    slow_s: float = 2.0
    slow_ratio: float = 0.8
    open_s: float = 10.0
    longest_open_s: float = 300.0
    probes: int = 3


ORDINARY: Final = BreakerPolicy()


class Breaker:
    """`changed` hears of every new state, and must not raise. For one event loop: there is no lock, and none is needed."""

    def __init__(
        self, name: str, policy: BreakerPolicy = ORDINARY, *, changed: Callable[[State], None] = lambda _: None, now: Monotonic = monotonic
    ) -> None:
        self._name = name
        self._policy = policy
        self._changed = changed
        self.now = now
        self._state: State = "closed"
        self._era = 0
        self._window = Window(policy.window_s, now)
        self._opens_until = 0.0
        self._not_before = 0.0
        self._probes_left = 0
        self._probes_passed = 0

    @property
    def state(self) -> State:
        """As of now: an open one is half open as soon as its time is over."""
        if self._state == "open" and self.now() >= self._opens_until:
            self._probes_left, self._probes_passed = self._policy.probes, 0
            self._become("half_open")
        return self._state

    def check(self) -> None:
        """Raises CircuitOpen where a call would be refused."""
        match self.state:
            case "isolated":
                raise CircuitOpen(f"{self._name} is cut off by hand", retry_after=ceil(self._policy.open_s))
            case "open":
                raise CircuitOpen(f"{self._name} is left alone for now", retry_after=max(1, ceil(self._opens_until - self.now())))
            case "half_open" if self._probes_left == 0:
                raise CircuitOpen(f"{self._name} is being tried by others", retry_after=1)

    def call(self) -> "Call":
        """For the time of a `with`, in which the outcome is told; raises CircuitOpen."""
        self.check()
        if self._state == "half_open":
            self._probes_left -= 1
        return Call(self, self._era)

    def isolate(self) -> None:
        """Refuse every call until `reset`."""
        self._become("isolated")

    def reset(self) -> None:
        """Begin anew, closed."""
        self._become("closed")

    def told(self, era: int, outcome: Outcome, seconds: float, asked_for: float) -> None:
        """For Call. What was begun before the last change says nothing about the present."""
        if era != self._era:
            return
        slow = outcome is not None and seconds >= self._policy.slow_s
        self._not_before = max(self._not_before, self.now() + min(asked_for, self._policy.longest_open_s))
        if self._state == "half_open":
            self._probed(outcome, slow)
        elif outcome is not None:
            self._window.add("call", *_counted(outcome == "failure", slow))
            if self._is_bad():
                self._open()

    def _probed(self, outcome: Outcome, slow: bool) -> None:
        if outcome is None:
            self._probes_left += 1
        elif outcome == "failure" or slow:
            self._open()
        else:
            self._probes_passed += 1
            if self._probes_passed == self._policy.probes:
                self._become("closed")

    def _is_bad(self) -> bool:
        calls, policy = self._window.count("call"), self._policy
        if calls < policy.minimum:
            return False
        return self._window.count("failure") >= calls * policy.failure_ratio or self._window.count("slow") >= calls * policy.slow_ratio

    def _open(self) -> None:
        self._opens_until = max(self.now() + self._policy.open_s, self._not_before)
        self._become("open")

    def _become(self, state: State) -> None:
        news, self._state = state != self._state, state
        self._era += 1
        self._not_before = 0.0
        self._window = Window(self._policy.window_s, self.now)
        if news:
            self._changed(state)


def _counted(failed: bool, slow: bool) -> list[Counted]:
    kinds: list[tuple[bool, Counted]] = [(failed, "failure"), (slow, "slow")]
    return [kind for applies, kind in kinds if applies]


class Call:
    """One call that was let through. Left without a word, as by a cancellation, it says nothing about the target."""

    __slots__ = ("_asked_for", "_began", "_breaker", "_era", "_outcome")

    def __init__(self, breaker: Breaker, era: int) -> None:
        self._breaker = breaker
        self._era = era
        self._began = breaker.now()
        self._outcome: Outcome = None
        self._asked_for = 0.0

    def answered(self) -> None:
        self._outcome = "answer"

    def failed(self, *, asked_for: float = 0.0) -> None:
        """`asked_for` is for how many seconds the target wants to be left alone (Retry-After)."""
        self._outcome, self._asked_for = "failure", asked_for

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._breaker.told(self._era, self._outcome, self._breaker.now() - self._began, self._asked_for)
