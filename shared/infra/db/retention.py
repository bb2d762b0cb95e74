"""Removing rows whose time is over: in small chunks, each its own short transaction, led by an index."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.infra.db.database import Database

CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Retention:
    """`forget` removes at most $1 rows that ended longer ago than $2, an interval, and answers how many it has removed.

    The index that leads it is named beside it. Every `keep` says beside it what it must outlast.
    """

    what: str
    keep: timedelta
    forget: str


async def forget(database: Database, retention: Retention) -> int:
    """Chunk after chunk until nothing is left whose time is over; answers how many rows went."""
    total = 0
    while True:
        gone: int = await database.fetchval(retention.forget, CHUNK, retention.keep)
        total += gone
        if gone < CHUNK:
            return total
