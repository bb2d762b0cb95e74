"""When something that failed is tried again, and when it is given up."""

import random
from typing import Final

DELAYS_S: Final = (1.0, 5.0, 30.0, 120.0, 600.0, 3_600.0, 21_600.0)
JITTER: Final = 0.2
"""Part of the delay by which it varies, so that what failed together does not come back together."""

LOST_LIMIT: Final = 3
"""A task whose worker vanished this often is dead: it probably ends the process."""


def delay_after(attempts: int) -> float | None:
    """Seconds until the next try, when `attempts` have failed; None when it was the last."""
    if attempts > len(DELAYS_S):
        return None
    delay = DELAYS_S[max(attempts, 1) - 1]
    return delay * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - jitter, no secret
