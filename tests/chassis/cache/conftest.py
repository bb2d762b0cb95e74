"""A Redis of one's own that can be stopped and hung, and a catalogue of books whose reading a test holds up."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from redis.asyncio import BlockingConnectionPool, Redis

from entrypoints.embedded import EmbeddedValkey
from shared.domain.context import Context, Principal, begin
from shared.infra.cache.cached import Cache, Key
from shared.infra.cache.store import CacheStore

ANSWER_S = 30.0
"""On a machine that does other things too, only what a test is about ends by time."""


class Book(msgspec.Struct, frozen=True):
    id: str
    title: str
    edition: int = 1


class Reader(msgspec.Struct, frozen=True):
    user_id: str
    books: list[Book]


class Books:
    """What the cache is in front of: counts its readings, each of which waits until it may end."""

    def __init__(self) -> None:
        self.titles = {"b1": "Dubliners", "b2": "Ulysses"}
        self.read: list[str] = []
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.fails: Exception | None = None

    async def load(self, key: Key) -> Book | None:
        self.read.append(key.id)
        title = self.titles.get(key.id)
        self.begun.set()
        await self.may_end.wait()
        if self.fails is not None:
            raise self.fails
        return Book(key.id, title) if title is not None else None


class Moved:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def connect(url: str, socket_s: float = ANSWER_S) -> Redis:
    pool = BlockingConnectionPool.from_url(
        url, max_connections=8, timeout=socket_s, socket_timeout=socket_s, socket_connect_timeout=socket_s
    )
    return Redis(connection_pool=pool)


class Process:
    """A cache as one process has it, all of them on the same Redis."""

    def __init__(self, redis: Redis, name: str, books: Books | None = None, **options: Any) -> None:
        self.books = books or Books()
        self.clock = Moved()
        self.store = CacheStore(redis, answer_s=options.pop("answer_s", ANSWER_S), silence_s=5, now=self.clock)
        options = {"ttl_s": 60, "load_s": ANSWER_S, **options}
        self.cache: Cache[Any] = Cache(self.store, name, options.pop("shape", Book), self.books.load, **options)

    async def title(self, id: str = "b1") -> str | None:
        book = await self.cache.get(Key.everyone(id))
        return book and book.title

    async def invalidate(self, *ids: str) -> None:
        await self.cache.invalidate([Key.everyone(id) for id in ids])


@pytest.fixture(autouse=True)
def somebody_asks() -> None:
    begin(Context(principal=Principal(kind="user", id="usr_1")))


@pytest.fixture
async def redis(valkey_url: str) -> "AsyncIterator[Redis]":
    client = connect(valkey_url)
    yield client
    await client.aclose()
    await client.connection_pool.disconnect()


@pytest.fixture
def name() -> str:
    return f"books_{uuid4().hex}"


@pytest.fixture
def here(redis: Redis, name: str) -> Process:
    return Process(redis, name)


@pytest.fixture
def elsewhere(redis: Redis, name: str) -> Process:
    return Process(redis, name)


class Breakable:
    """A server of the test's own."""

    def __init__(self) -> None:
        self.server = EmbeddedValkey().start()
        self.url = self.server.url()

    def hang(self) -> None:
        os.kill(self.server.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.server.pid, signal.SIGCONT)

    def stop(self) -> None:
        self.go_on()
        self.server.stop()


@pytest.fixture
def breakable() -> Iterator[Breakable]:
    server = Breakable()
    yield server
    if server.server.port and server.server._child is not None:
        server.stop()


@pytest.fixture
async def breakable_redis(breakable: Breakable) -> "AsyncIterator[Redis]":
    client = connect(breakable.url, socket_s=0.5)
    yield client
    await client.connection_pool.disconnect()
