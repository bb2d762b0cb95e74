"""A read-through cache of one kind of view; a cached repository is a decorator of a port that keeps one of these per query."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextvars import Context as Variables
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_bytes
from typing import Any, Final, Generic, Self, TypeVar

import msgspec

from shared.domain import guard
from shared.domain.context import Principal
from shared.domain.errors import Unavailable
from shared.infra.cache.store import CacheStore, Silent

V = TypeVar("V", bound=msgspec.Struct)

ROUNDS: Final = 3
LOOK_AGAIN_S: Final = 0.02
LEASE_MARGIN_S: Final = 1.0
_EVERYONE: Final = "everyone"
_VALUE, _LEASE = b"V", b"L"
_PERSONAL: Final = re.compile(r"(?:^|_)(?:user|customer|guest|owner|principal|email|phone|token|password|secret)(?:_|$)")


@dataclass(frozen=True, slots=True)
class Key:
    """Says whose the value is: everybody's, or that of one principal, to whom alone it is ever shown."""

    scope: str
    id: str

    @classmethod
    def everyone(cls, id: str) -> Self:
        return cls(_EVERYONE, id)

    @classmethod
    def of(cls, principal: Principal, id: str) -> Self:
        if not principal.id:
            raise ValueError(f"{principal.kind} is nobody in particular: what is read for them is nobody's own")
        return cls(principal.scope, id)


class Cache(Generic[V]):
    """Values of `shape` by key, computed by `load`, which runs on nobody's behalf and knows nothing but the key.

    A place in Redis holds either a value or the lease of the one who computes it, who may store the value only while the
    lease is there. So one computes for all, a value that was read before an invalidation is never stored after it, and
    nothing is believed that a flushed server has forgotten. What `load` answers with None, or raises, is not kept.
    """

    def __init__(
        self, store: CacheStore, name: str, shape: type[V], load: Callable[[Key], Awaitable[V | None]],
        *, ttl_s: float, load_s: float = 5.0, patience_s: float = 0.5,
    ) -> None:  # fmt: skip
        schema = msgspec.json.schema(shape)
        self._store = store
        self._load = load
        self._ttl_s = ttl_s
        self._load_s = load_s
        self._patience_s = patience_s
        self._prefix = f"tenon:cache:{name}:"
        self.personal = sorted(field for field in set(_fields(schema)) if _PERSONAL.search(field))
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(shape).decode
        self._stamp = _VALUE + sha256(msgspec.json.encode(schema)).digest()[:8]  # another release may know another shape
        self._loads: dict[Key, asyncio.Task[V | None]] = {}

    async def get(self, key: Key) -> V | None:
        """Raises what `load` raises, Unavailable when it takes too long, and OutboundInTransaction."""
        guard.outbound("a cached read")
        if self.personal and key.scope == _EVERYONE:
            raise ValueError(f"{', '.join(self.personal)} of {self._prefix} may not be kept for everyone: use Key.of(principal, …)")
        if (task := self._loads.get(key)) is None:
            # In variables of its own: whoever comes first has a principal and a deadline that are not those of the others.
            task = asyncio.get_running_loop().create_task(self._find(key), context=Variables())
            self._loads[key] = task
            task.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(task)

    async def invalidate(self, keys: Iterable[Key]) -> None:
        """For subscriptions: whoever reads after this reads anew. Raises Unavailable: it is to be called again."""
        names = list(keys)
        try:
            await self._store.clear([self._place(key) for key in names])
        finally:
            for key in names:
                self._loads.pop(key, None)  # they go on for those who wait already

    async def invalidate_all(self) -> None:
        """The same for every key: slow, for what changes seldom and touches unknown ones."""
        try:
            await self._store.clear_all(self._prefix)
        finally:
            self._loads.clear()

    def _done(self, key: Key, task: asyncio.Task[V | None]) -> None:
        if self._loads.get(key) is task:
            del self._loads[key]
        if not task.cancelled():
            task.exception()  # seen, also where nobody waits any more

    def _place(self, key: Key) -> str:
        return self._prefix + sha256(msgspec.json.encode((key.scope, key.id))).hexdigest()

    async def _find(self, key: Key) -> V | None:
        place, value = self._place(key), None
        lease = _LEASE + token_bytes(16)
        for _ in range(ROUNDS):
            try:
                there = await self._held(place, lease)
            except Silent:
                return await self._computed(key)
            if there is not None and (kept := self._read(there)) is not None:
                return kept
            if there is not None and there.startswith(_LEASE):
                return await self._computed(key)
            value, stored = await self._compute_and_store(key, place, lease if there is None else there)
            if stored:
                break
        return value

    async def _held(self, place: str, lease: bytes) -> bytes | None:
        """What is there; while it is somebody else's lease, for at most our patience, look again."""
        ends = asyncio.get_running_loop().time() + self._patience_s
        while True:
            there = await self._store.look(place, lease, self._load_s + LEASE_MARGIN_S)
            if there is None or not there.startswith(_LEASE) or asyncio.get_running_loop().time() >= ends:
                return there
            await asyncio.sleep(LOOK_AGAIN_S)

    def _read(self, there: bytes) -> V | None:
        if not there.startswith(self._stamp):
            return None
        try:
            return self._decode(there[len(self._stamp) :])
        except msgspec.MsgspecError:
            return None

    async def _compute_and_store(self, key: Key, place: str, expected: bytes) -> tuple[V | None, bool]:
        """The value, and whether it is the present one: False when it was invalidated meanwhile."""
        value, kept = None, b""
        try:
            value = await self._computed(key)
            kept = b"" if value is None else self._stamp + self._encode(value)
        finally:
            try:
                stored = await self._store.swap(place, expected, kept, self._ttl_s * random.uniform(0.8, 1.0))  # noqa: S311 - jitter, no secret
            except Silent:
                stored = True
        return value, stored

    async def _computed(self, key: Key) -> V | None:
        try:
            async with asyncio.timeout(self._load_s):
                return await self._load(key)
        except TimeoutError as error:
            raise Unavailable(f"{self._prefix} could not be read in time") from error


def _fields(schema: Any) -> Iterator[str]:
    """The names of all properties in a JSON schema, at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _fields(part)
