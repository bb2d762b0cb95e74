"""What a cache has in Redis: a place for each question, and the generation that a place has to be of to be believed."""

import secrets
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.domain.errors import Unavailable
from shared.infra.config import Settings
from shared.infra.http.breaker import Breaker, BreakerPolicy, State
from shared.infra.http.client import Listener, nobody

log = structlog.get_logger(__name__)

LEASE_MS: Final = 5_000
"""After this long a process that computes is taken for dead."""

ONE_FAILURE: Final = BreakerPolicy(window_s=1.0, minimum=1, failure_ratio=1e-9, open_s=5.0, probes=1)
"""Whatever Redis fails to answer is computed without it: there is no reason to wait for it twice."""

_LOOK: Final = """
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local generation = redis.call('get', KEYS[1]) or (ARGV[1] .. time[1] .. '.' .. time[2] .. ':')
local there = redis.call('get', KEYS[2])
if there and string.sub(there, 1, #generation) == generation then return {generation, now, there} end
redis.call('set', KEYS[1], generation, 'px', ARGV[2])
redis.call('set', KEYS[2], generation, 'px', ARGV[3])
return {generation, now, false}
"""
"""Generation, time, and what is kept; the mere generation is the lease of whoever computes it.

A generation bears the time at which it was made, so that this script, done twice by a retry, does not bring one back.
"""


class Found(NamedTuple):
    """`kept` is None where nothing is that can be believed: then `leased` says that another one computes it already.

    `at_ms` is when it was looked up, by the clock of Redis.
    """

    generation: bytes
    at_ms: int
    kept: bytes | None
    leased: bool


class CacheStore:
    """One for all caches of a process. Raises Unavailable when Redis does not answer, which is then left alone for some seconds."""

    def __init__(self, redis: Redis, installation: str, *, changed: Listener = nobody, now: Callable[[], float] = monotonic) -> None:
        self._redis = redis
        self._listener = changed
        self._prefix = f"tenon:cache:{installation}:"
        self._script = redis.register_script(_LOOK)
        self._breaker = Breaker("Redis", ONE_FAILURE, changed=self._changed, now=now)

    async def look(self, cache: str, question: str, life_ms: int) -> Found:
        """In one step; whoever finds nothing and no lease has the lease now, and is to `keep` or to `let_go`."""
        keys = [self._generation(cache), self._place(cache, question)]
        values: list[str | int] = [secrets.token_hex(8), life_ms, LEASE_MS]
        generation, at_ms, there = await self._ask(lambda: self._script(keys=keys, args=values))
        kept = None if there is None else there[len(generation) :]
        return Found(generation, at_ms, kept or None, leased=kept == b"")

    async def keep(self, cache: str, question: str, found: Found, value: bytes, life_ms: int) -> None:
        """For `life_ms` since it was looked for, however late this is done; and in vain, if another generation has begun."""
        place, content = self._place(cache, question), found.generation + value
        await self._ask(lambda: self._redis.set(place, content, pxat=found.at_ms + life_ms))

    async def let_go(self, cache: str, question: str) -> None:
        """Nothing will be kept: others need not wait for it."""
        await self._ask(lambda: self._redis.delete(self._place(cache, question)))

    async def renew(self, cache: str, *, insist: bool = False) -> None:
        """Believe nothing any more that was looked for before. `insist` asks Redis also while it is left alone."""
        ask = _answer if insist else self._ask
        await ask(lambda: self._redis.delete(self._generation(cache)))

    async def _ask(self, command: Callable[[], Awaitable[Any]]) -> Any:
        with self._breaker.call() as call:
            try:
                answer = await _answer(command)
            except Unavailable:
                call.failed()
                raise
            call.answered()
            return answer

    def _changed(self, state: State) -> None:
        log.warning("cache_breaker", state=state)
        self._listener("cache", "redis", state)

    def _generation(self, cache: str) -> str:
        """The braces keep what one script touches on one node of a cluster."""
        return f"{self._prefix}{{{cache}}}"

    def _place(self, cache: str, question: str) -> str:
        return f"{self._prefix}{{{cache}}}:{question}"


def installation(settings: Settings) -> str:
    """What tells those apart who share a Redis, and is the same in all processes of one: they have the same secret and database."""
    return settings.secret.derive(f"cache of {urlsplit(settings.database_url).path}").hex()[:16]


async def _answer(command: Callable[[], Awaitable[Any]]) -> Any:
    """The connections end what takes too long: a command that is cancelled could be lost to its pool together with one of them."""
    try:
        return await command()
    except (RedisError, OSError) as error:
        raise Unavailable("Redis does not answer") from error
