"""When a call that failed is made again: seldom enough that a failing target is not buried under repetitions."""

import random
from dataclasses import dataclass
from time import monotonic
from typing import Final

from shared.domain.errors import DomainError
from shared.domain.outbound import Failing, Unanswered, Unreachable
from shared.infra.http.window import Monotonic, Window

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """At most `attempts` per call; over all calls of the last `window_s`, `ratio` of their number, or `spare` where they are few."""

    attempts: int = 3
    ratio: float = 0.1
    spare: int = 2
    window_s: float = 60.0
    first_pause_s: float = 0.1
    longest_pause_s: float = 2.0


class RetryBudget:
    def __init__(self, policy: RetryPolicy, now: Monotonic = monotonic) -> None:
        self._policy = policy
        self._window = Window(policy.window_s, now)

    def called(self) -> None:
        self._window.add("call")

    def take(self) -> bool:
        """Whether one more retry may be made; it counts then."""
        allowed = max(self._policy.spare, self._policy.ratio * self._window.count("call"))
        if self._window.count("retry") + 1 > allowed:
            return False
        self._window.add("retry")
        return True


class Retries:
    """Of one call, which ends at `ends`. `unsure` is the last error after which the target may have acted."""

    def __init__(self, policy: RetryPolicy, budget: RetryBudget, ends: float, *, repeatable: bool, now: Monotonic = monotonic) -> None:
        self._policy = policy
        self._budget = budget
        self._ends = ends
        self._now = now
        self._left = policy.attempts - 1 if repeatable else 0
        self._longest_pause_s = policy.first_pause_s
        self.unsure: Unanswered | Failing | None = None

    def pause(self, error: Exception) -> float | bool:
        """How many seconds to wait before the next attempt, no less than the target asked for; False: there is none."""
        if isinstance(error, (Unanswered, Failing)):
            self.unsure = error
        elif not isinstance(error, Unreachable):
            return False
        if not self._left:
            return False
        self._left -= 1
        seconds = max(_asked_for(error), random.uniform(0, self._longest_pause_s))  # noqa: S311 - jitter, no secret
        self._longest_pause_s = min(2 * self._longest_pause_s, self._policy.longest_pause_s)
        return seconds if self._now() + seconds < self._ends and self._budget.take() else False


def _asked_for(error: DomainError) -> float:
    asked = error.facts.get("retry_after", 0)
    return float(asked) if isinstance(asked, (int, float)) else 0.0
