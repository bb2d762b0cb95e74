"""Counting requests: exactly, by shares, and in this process alone for as long as Redis does not answer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Final

import structlog
from redis.asyncio import Redis

from shared.domain.limits import Allowance, Ask
from shared.infra.limits.buckets import Buckets, Level
from shared.infra.limits.counted import CountedBuckets, Unanswered

PATIENCE_S: Final = 0.1
"""How long the first request waits for a Redis that hangs; whoever comes after it does not wait at all."""

ASK_AGAIN_S: Final = 1.0

log = structlog.get_logger(__name__)


class LocalLimits:
    """One process, and no server."""

    def __init__(self) -> None:
        self._buckets = Buckets()

    async def take(self, asks: Sequence[Ask]) -> Allowance:
        return self._buckets.take(asks).allowance(asks)


class Limits:
    """Counts in Redis what is exact. While it is away each process counts for itself, from where they had got to together:
    n processes then let at most n quotas through. Requests never wait to find out whether it is back.
    """

    def __init__(self, redis: Redis, *, patience_s: float = PATIENCE_S, now: Callable[[], float] = monotonic) -> None:
        self._redis = redis
        self._patience_s = patience_s
        self._now = now
        self._local = Buckets()
        self._counted = CountedBuckets(redis, patience_s)
        self._reports: dict[Ask, asyncio.Event] = {}
        self._away_until: float | None = None
        self._trial: asyncio.Task[None] | None = None

    async def take(self, asks: Sequence[Ask]) -> Allowance:
        if not asks[0].quota.exact:
            return (await self._by_share(asks)).allowance(asks)
        level = await self._answered(lambda: self._counted.take(asks))
        if level is None:
            level = self._local.take(asks)
        else:
            self._local.learn(asks, level.debts_us)
        return level.allowance(asks)

    async def _by_share(self, asks: Sequence[Ask]) -> Level:
        while self._reports and (under_way := next((self._reports[ask] for ask in asks if ask in self._reports), None)):
            await under_way.wait()
        level = self._local.take(asks)
        if level.admitted and (due := self._local.reports(asks)):
            await self._report(due)
        return level

    async def _report(self, asks: Sequence[Ask]) -> None:
        """Requests of the same callers wait meanwhile, or many of them would get through on what is not known yet."""
        known = asyncio.Event()
        self._reports.update(dict.fromkeys(asks, known))
        try:
            told = await self._answered(lambda: self._counted.report(asks))
            if told is not None:
                self._local.learn(asks, told.debts_us)
        finally:
            for ask in asks:
                del self._reports[ask]
            known.set()

    async def _answered(self, ask: Callable[[], Awaitable[Level]]) -> Level | None:
        """What Redis says; None, and at once, while it is known to be away."""
        if self._away_until is not None:
            if self._now() >= self._away_until and self._trial is None:
                self._trial = asyncio.get_running_loop().create_task(self._try())
                self._trial.add_done_callback(self._tried)
            return None
        try:
            return await ask()
        except Unanswered as reason:
            if self._away_until is None:
                log.warning("limits_count_alone", reason=str(reason))
            self._away_until = self._now() + ASK_AGAIN_S
            return None

    async def _try(self) -> None:
        """Beside the requests, which are counted here meanwhile."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._redis.ping()
        except Exception:  # noqa: BLE001 - whatever it was, it is not back
            self._away_until = self._now() + ASK_AGAIN_S
        else:
            self._away_until = None
            log.info("limits_count_together")

    def _tried(self, _: asyncio.Task[None]) -> None:
        self._trial = None
