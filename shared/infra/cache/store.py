"""Places in Redis that hold a value, or the lease of whoever computes it. When Redis does not answer, it is not asked for a while."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.domain.errors import Unavailable

log = structlog.get_logger(__name__)

_SWAP: Final = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('del', KEYS[1]) else redis.call('set', KEYS[1], ARGV[2], 'px', ARGV[3]) end
return 1
"""


class Silent(Exception):
    """Redis does not answer, or not in time."""


class CacheStore:
    """`answer_s` is how long an answer is waited for, `silence_s` for how long none is after that. One for all caches of a process."""

    def __init__(self, redis: Redis, *, answer_s: float = 0.2, silence_s: float = 5.0, now: Callable[[], float] = monotonic) -> None:
        self._redis = redis
        self._answer_s = answer_s
        self._silence_s = silence_s
        self._now = now
        self._silent_until = float("-inf")
        self._asked: set[asyncio.Future[Any]] = set()

    async def look(self, place: str, lease: bytes, lease_s: float) -> bytes | None:
        """What is at the place; None: nothing, and the lease is there now, in one step (since Redis 7). Raises Silent."""
        there: bytes | None = await self._ask(lambda: self._redis.set(place, lease, nx=True, get=True, px=int(lease_s * 1000)))
        return there

    async def swap(self, place: str, expected: bytes, value: bytes, seconds: float) -> bool:
        """Put `value` there if `expected` still is; nothing for an empty one. Raises Silent."""
        return bool(await self._ask(lambda: self._redis.eval(_SWAP, 1, place, expected, value, str(int(seconds * 1000)))))

    async def clear(self, places: Sequence[str]) -> None:
        """Always asks, for what remains would be wrong; raises Unavailable."""
        if not places:
            return
        try:
            await self._redis.delete(*places)
        except (RedisError, OSError) as error:
            raise Unavailable("the cache could not be cleared") from error

    async def clear_all(self, beginning: str) -> None:
        """Every place whose name begins so and that is there now, one by one: for rare occasions. Raises Unavailable."""
        try:
            async for place in self._redis.scan_iter(match=f"{beginning}*", count=1000):
                await self._redis.delete(place)
        except (RedisError, OSError) as error:
            raise Unavailable("the cache could not be cleared") from error

    async def _ask(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """A command that is late is not cancelled, which could lose its connection to the pool: it ends by the socket's timeout."""
        if self._now() < self._silent_until:
            raise Silent
        asked = asyncio.ensure_future(command())
        self._asked.add(asked)
        asked.add_done_callback(self._ended)
        await asyncio.wait({asked}, timeout=self._answer_s)
        if not asked.done():
            self._fall_silent("late")
        elif isinstance(error := asked.exception(), (RedisError, OSError)):
            self._fall_silent(type(error).__name__)
        else:
            return asked.result()
        raise Silent

    def _ended(self, asked: asyncio.Future[Any]) -> None:
        self._asked.discard(asked)
        if not asked.cancelled():
            asked.exception()  # seen, also where nobody waits any more

    def _fall_silent(self, reason: str) -> None:
        if self._now() >= self._silent_until:
            log.warning("cache_silent", reason=reason, seconds=self._silence_s)
        self._silent_until = self._now() + self._silence_s
