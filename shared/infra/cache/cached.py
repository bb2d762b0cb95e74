"""A read-through cache of one kind of answer; a cached repository is a decorator of a port that has one of these."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar

import msgspec

from shared.domain import guard
from shared.domain.context import Context, begin, current
from shared.domain.errors import Unavailable
from shared.infra.cache.flights import Flights
from shared.infra.cache.store import CacheStore, Found
from shared.infra.tracing import traced

LARGEST: Final = 1_048_576
PATIENCE_S: Final = 0.25
LOOK_AGAIN_S: Final = 0.02

_PERSONAL: Final = re.compile(r"(?:^|_)(?:address|customer|email|guest|owner|password|phone|principal|secret|token|user)(?:_|$)")


class Public(msgspec.Struct, frozen=True):
    """An answer that is the same for everybody. To derive from this is to say so, and nothing else can be cached."""


Q = TypeVar("Q", bound=msgspec.Struct)
A = TypeVar("A", bound=Public)


class Cache(Generic[Q, A]):
    """Answers to questions that anybody may ask. `read` is told the question and nothing else: it runs on nobody's behalf.

    What holds: **who asks after `renew` has returned gets an answer that was read after it, and nobody, whatever fails,
    gets one that was read longer than `life_s` ago.** For an answer is kept under the generation that was found before it was
    read, and is believed as long as that is the present one; `renew` ends a generation, and none comes back. So nothing
    depends on the order or the outcome of commands: one whose answer was lost may be carried out at any time, or twice. A
    Redis that was flushed has no generation, so that nothing in it is believed. The lease, by which one process reads for
    all, only saves work.

    A change is therefore seen by all once the event that tells of it has been delivered, and by this process at once, if its
    `changed` was called. Only where Redis has lost a `renew` that it had acknowledged, by a failover or out of an old
    snapshot, or could not be told for so long, may an older answer be given, for `life_s` at most.
    """

    def __init__(
        self,
        store: CacheStore,
        name: str,
        answer: type[A],
        read: Callable[[Q], Awaitable[A]],
        *,
        life_s: float,
        patience_s: float = PATIENCE_S,
    ) -> None:
        schema = msgspec.json.schema(answer)
        if not issubclass(answer, Public):
            raise TypeError(f"{answer.__name__} is not said to be the same for everybody")
        if personal := sorted(name for name in set(_fields(schema)) if _PERSONAL.search(name)):
            raise TypeError(f"{', '.join(personal)} of {answer.__name__} is somebody's")
        self._store = store
        self._name = name
        self._read = read
        self._life_ms = int(life_s * 1000)
        self._patience_s = patience_s
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(answer).decode
        self._shape = _digest(msgspec.json.encode(schema))  # another release may know another one
        self._flights: Flights[tuple[A, Context]] = Flights()
        self._changes = 0
        self._changes_told = 0

    async def get(self, question: Q) -> A:
        """Raises what `read` raises, and OutboundInTransaction; never because of Redis."""
        guard.outbound("a cached read")
        place = f"{self._shape}:{_digest(msgspec.msgpack.encode(question))}"
        asking = current()
        answer, cost = await self._flights.join(place, lambda: self._counted(question, place, asking))
        asking.bear(cost)
        return answer

    def changed(self) -> None:
        """For listeners of commits: whoever asks in this process from now on is told of what this process has changed."""
        self._changes += 1

    async def renew(self) -> None:
        """For subscriptions. Raises Unavailable: it is to be called again."""
        await self._store.renew(self._name, insist=True)

    async def _counted(self, question: Q, place: str, first: Context) -> tuple[A, Context]:
        """In the trace of the first of those who ask, and with nothing else of theirs."""
        cost = Context(trace_id=first.trace_id, traceparent=first.traceparent, sent={})
        begin(cost)
        with traced(f"cache {self._name}"):
            return await self._find(question, place), cost

    async def _find(self, question: Q, place: str) -> A:
        try:
            await self._tell_changes()
            found = await self._look(place)
        except Unavailable:
            return await self._read(question)
        if found.kept is not None:
            with suppress(msgspec.MsgspecError):
                return self._decode(found.kept)
        kept = False
        try:
            answer = await self._read(question)
            kept = await self._keep(place, found, self._encode(answer))
        finally:
            if not kept:
                with suppress(Unavailable):
                    await self._store.let_go(self._name, place)
        return answer

    async def _tell_changes(self) -> None:
        """Everybody who finds that there are some does so: the first one may be late."""
        while (changes := self._changes) > self._changes_told:
            await self._store.renew(self._name)
            self._changes_told = max(self._changes_told, changes)

    async def _look(self, place: str) -> Found:
        """While another process computes the answer, look again, for at most our patience."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._patience_s
        while True:
            found = await self._store.look(self._name, place, self._life_ms)
            if not found.leased or loop.time() >= ends:
                return found
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _keep(self, place: str, found: Found, value: bytes) -> bool:
        if len(value) > LARGEST:
            return False
        jitter = random.uniform(0.8, 1.0)  # noqa: S311 - no secret: what was kept at the same time shall not end at the same time
        with suppress(Unavailable):
            await self._store.keep(self._name, place, found, value, int(self._life_ms * jitter))
        return True


def _fields(schema: Any) -> Iterator[str]:
    """The names of all properties in a JSON schema, at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _fields(part)


def _digest(text: bytes) -> str:
    return sha256(text).hexdigest()[:24]
