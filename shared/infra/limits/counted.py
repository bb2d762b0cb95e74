"""The same buckets in Redis, for all processes: one script, by the server's clock, many requests in one round trip."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from contextvars import Context as Variables
from hashlib import sha1
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from shared.domain.limits import Ask
from shared.infra.limits.buckets import Level
from shared.infra.telling import told

UNBOUNDED: Final = 2**52
"""A capacity that no debt reaches: what has been let through elsewhere is counted whatever there is."""

_TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local debts, admitted = {}, 1
for i, key in ipairs(KEYS) do
    debts[i] = math.max((tonumber(redis.call('GET', key) or nil) or 0) - now, 0)
    if debts[i] + ARGV[2 * i - 1] > tonumber(ARGV[2 * i]) then admitted = 0 end
end
if admitted == 1 then
    for i, key in ipairs(KEYS) do
        debts[i] = debts[i] + ARGV[2 * i - 1]
        redis.call('SET', key, string.format('%.0f', now + debts[i]), 'PX', math.ceil(debts[i] / 1000))
    end
end
return {admitted, unpack(debts)}
"""
"""KEYS hold when each bucket will be full; ARGV are cost and capacity of each. All are in microseconds."""

_SHA: Final = sha1(_TAKE.encode(), usedforsecurity=False).hexdigest()


class Unanswered(Exception):
    """Redis did not answer, or not in time; perhaps it has counted."""


class _Taking(NamedTuple):
    command: tuple[Any, ...]
    answer: asyncio.Future[Level]


class CountedBuckets:
    """While one round trip is under way, the requests that arrive make up the next. None waits for longer than `patience_s`."""

    def __init__(self, redis: Redis, patience_s: float) -> None:
        self._redis = redis
        self._patience_s = patience_s
        self._waiting: list[_Taking] = []
        self._under_way: asyncio.Task[None] | None = None

    async def take(self, asks: Sequence[Ask]) -> Level:
        """Take one of each, or none; raises Unanswered."""
        return await self._send(asks, [(ask.quota.cost_us, ask.quota.capacity_us) for ask in asks])

    async def report(self, asks: Sequence[Ask]) -> Level:
        """Count a share of each that was let through already; raises Unanswered."""
        return await self._send(asks, [(ask.quota.cost_us * ask.quota.share, UNBOUNDED) for ask in asks])

    def _send(self, asks: Sequence[Ask], numbers: Iterable[tuple[int, int]]) -> Awaitable[Level]:
        keys = [f"tenon:rate:{ask.quota.name}:{ask.caller}" for ask in asks]
        arguments = (len(keys), *keys, *(number for pair in numbers for number in pair))
        answer: asyncio.Future[Level] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Taking(arguments, answer))
        self._begin()
        return answer

    def _begin(self) -> None:
        if self._waiting and self._under_way is None:
            # In variables of its own: a round trip belongs to no single request.
            self._under_way = asyncio.get_running_loop().create_task(self._round_trip(), context=Variables())
            self._under_way.add_done_callback(self._done)

    def _done(self, _: asyncio.Task[None]) -> None:
        self._under_way = None
        self._begin()

    async def _round_trip(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            async with asyncio.timeout(self._patience_s):
                levels = await self._levels([taking.command for taking in batch])
        except (RedisError, OSError, TimeoutError) as error:
            _fail([*batch, *self._waiting], Unanswered(told(error)))
            self._waiting = []
        except BaseException as error:
            _fail(batch, Unanswered(told(error)))
            raise
        else:
            for taking, level in zip(batch, levels, strict=True):
                if not taking.answer.done():
                    taking.answer.set_result(level)

    async def _levels(self, commands: Sequence[tuple[Any, ...]]) -> list[Level]:
        answers = await self._evaluated(commands)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            await self._redis.script_load(_TAKE)
            missing = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            for index, answer in zip(missing, await self._evaluated([commands[index] for index in missing]), strict=True):
                answers[index] = answer
        if failed := next((answer for answer in answers if isinstance(answer, Exception)), None):
            raise failed
        return [Level(bool(admitted), debts) for admitted, *debts in answers]

    async def _evaluated(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """An answer for each command, which may be an error."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command("EVALSHA", _SHA, *command)
            return await pipeline.execute(raise_on_error=False)


def _fail(batch: Iterable[_Taking], error: Exception) -> None:
    for taking in batch:
        if not taking.answer.done():
            taking.answer.set_exception(error)
