"""A Redis of one's own that can be hung and killed, and books whose reading a test holds up."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from redis.asyncio import BlockingConnectionPool, Redis

from entrypoints.development.children import free_port
from entrypoints.development.embedded import EmbeddedValkey
from shared.domain.context import Context, Principal, begin
from shared.infra.cache.cached import Cache, Public
from shared.infra.cache.store import CacheStore
from shared.infra.http.client import nobody

UNHURRIED_S = 60.0
"""On a machine that does other things too, only what a test is about ends by time."""


class Wanted(msgspec.Struct, frozen=True):
    id: str


class Book(Public, frozen=True):
    id: str
    title: str
    edition: int = 1


class NoSuchBook(Exception):
    pass


class Books:
    """What the cache is in front of: counts its readings, each of which knows the title and then waits until it may end."""

    def __init__(self) -> None:
        self.titles = {"b1": "Dubliners", "b2": "Ulysses"}
        self.read: list[str] = []
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.fails: Exception | None = None

    async def book(self, wanted: Wanted) -> Book:
        self.read.append(wanted.id)
        title = self.titles.get(wanted.id)
        self.begun.set()
        await self.may_end.wait()
        if self.fails is not None:
            raise self.fails
        if title is None:
            raise NoSuchBook(wanted.id)
        return Book(wanted.id, title)


class Moved:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class Process:
    """The cache as one process has it; all processes of a `name` share a Redis."""

    def __init__(
        self, redis: Redis, name: str, books: Books | None = None, *, answer: type[Any] = Book, installation: str = "tests", **options: Any
    ) -> None:
        self.books = books or Books()
        self.clock = Moved()
        self.store = CacheStore(redis, installation, changed=options.pop("changed", nobody), now=self.clock)
        read = options.pop("read", self.books.book)
        self.cache: Cache[Any, Any] = Cache(self.store, name, answer, read, **({"life_s": 60, "patience_s": UNHURRIED_S} | options))

    async def title(self, id: str = "b1") -> str:
        book: Book = await self.cache.get(Wanted(id))
        return book.title

    def asking(self, id: str = "b1") -> "asyncio.Task[str]":
        return asyncio.create_task(self.title(id))


@asynccontextmanager
async def connected(url: str, seconds: float) -> AsyncIterator[Redis]:
    pool = BlockingConnectionPool.from_url(url, max_connections=8, timeout=seconds, socket_timeout=seconds, socket_connect_timeout=seconds)
    async with Redis.from_pool(pool) as client:
        yield client


@pytest.fixture(autouse=True)
def somebody_asks() -> None:
    begin(Context(principal=Principal(kind="user", id="usr_1")))


@pytest.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    async with connected(valkey_url, UNHURRIED_S) as client:
        yield client


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
    """A server of the tests' own, always at the same address."""

    def __init__(self) -> None:
        self._server = EmbeddedValkey(port=free_port(), password="kept by nobody")
        self._server.start()
        self._runs = True
        self.url = self._server.url()

    def hang(self) -> None:
        os.kill(self._server.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._server.pid, signal.SIGCONT)

    def kill(self) -> None:
        os.kill(self._server.pid, signal.SIGKILL)
        self.stop()

    def start(self) -> None:
        """Empty."""
        self._server.start()
        self._runs = True

    def stop(self) -> None:
        if self._runs:
            self.go_on()
            self._server.stop()
            self._runs = False


@pytest.fixture
def breakable() -> Iterator[Breakable]:
    server = Breakable()
    yield server
    server.stop()


@pytest.fixture
async def breakable_redis(breakable: Breakable) -> AsyncIterator[Redis]:
    async with connected(breakable.url, seconds=0.5) as client:
        yield client
