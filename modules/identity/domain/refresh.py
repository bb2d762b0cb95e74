"""Refresh tokens: each is good for one successor, and a stolen one ends its session."""

from datetime import datetime, timedelta
from enum import Enum, auto

import msgspec

IDLE = timedelta(days=7)
ABSOLUTE = timedelta(days=30)
GRACE = timedelta(seconds=10)
"""For how long a used token still answers with the successor that it already has: a lost answer, or two browser tabs."""


class Presented(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored about a token that somebody shows, and the time by the clock that stored it."""

    session_id: str
    user_id: str
    session_version: int
    authenticated_at: datetime
    session_expires_at: datetime
    revoked: bool
    expires_at: datetime
    used_at: datetime | None
    now: datetime


class Verdict(Enum):
    ROTATE = auto()
    REPEAT = auto()
    REUSED = auto()
    ENDED = auto()


def judge(token: Presented) -> Verdict:
    """What a shown token deserves. A used one that comes back late is never merely expired: somebody copied it."""
    if token.revoked or token.now >= token.session_expires_at:
        return Verdict.ENDED
    if token.used_at is not None:
        return Verdict.REPEAT if token.now - token.used_at < GRACE else Verdict.REUSED
    return Verdict.ENDED if token.now >= token.expires_at else Verdict.ROTATE
