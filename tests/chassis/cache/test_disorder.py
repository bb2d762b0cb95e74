"""Whatever happens to commands on their way, nobody is told what was read before a renewal that had been acknowledged."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from time import monotonic
from typing import Final

import pytest
from redis.asyncio import Redis

from shared.domain.errors import Unavailable
from shared.infra.cache.cached import Cache, Public
from shared.infra.cache.store import CacheStore
from tests.chassis.cache.conftest import Breakable, Wanted, connected
from tests.chassis.cache.wire import Wire
from tests.chassis.waiting import until

PROCESSES: Final = 3
IDS: Final = ("b1", "b2")
PATIENCE_S: Final = 0.05


class Edition(Public, frozen=True):
    number: int


class Story:
    """A few processes read, change and renew, each over a bad wire of its own, while Redis is flushed and hung now and then.

    `committed` is what a reading finds, `told` what every reader must know at least: a renewal after it was acknowledged.
    """

    def __init__(self, seed: int, server: Breakable, direct: Redis) -> None:
        self._random = Random(seed)
        self._seed = seed
        self._server = server
        self._direct = direct
        self._caches: list[Cache[Wanted, Edition]] = []
        self.wires: list[Wire] = []
        self.committed = 0
        self.told = 0
        self.changed_by: defaultdict[int, int] = defaultdict(int)
        self.read = 0
        self.asked = 0

    @asynccontextmanager
    async def processes(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for _ in range(PROCESSES):
                wire = await stack.enter_async_context(Wire(self._server.url, self._random).running())
                redis = await stack.enter_async_context(connected(wire.url, PATIENCE_S))
                store = CacheStore(redis, f"story {self._seed}", now=lambda: monotonic() * 5000)
                self._caches.append(Cache(store, "books", Edition, self._edition, life_s=30, patience_s=PATIENCE_S))
                self.wires.append(wire)
            yield

    async def in_disorder(self) -> None:
        for wire in self.wires:
            wire.trouble = 0.03
        async with asyncio.TaskGroup() as group:
            for process in range(PROCESSES):
                for _ in range(4):
                    group.create_task(self._reader(process))
                group.create_task(self._writer(process))
            group.create_task(self._misfortune())
        for wire in self.wires:
            wire.trouble = 0.0

    async def ask(self, process: int) -> None:
        at_least = max(self.told, self.changed_by[process])
        self.asked += 1
        edition = await self._caches[process].get(Wanted(self._random.choice(IDS)))
        assert edition.number >= at_least, f"seed {self._seed}: told of {edition.number}, and {at_least} had been known before"

    async def is_served_again(self) -> bool:
        """Every process is told without a reading."""
        before = self.read
        for process in range(PROCESSES):
            await self.ask(process)
        return self.read == before

    async def _edition(self, _: Wanted) -> Edition:
        self.read += 1
        await self._while()
        found = self.committed
        await self._while()
        return Edition(found)

    async def _reader(self, process: int) -> None:
        for _ in range(50):
            await self.ask(process)
            await self._while()

    async def _writer(self, process: int) -> None:
        for _ in range(6):
            await self._while(0.05)
            self.committed += 1
            mine = self.committed
            if self._random.random() < 0.5:
                self._caches[process].changed()
                self.changed_by[process] = mine
            await self._while(0.03)
            await self._deliver(mine)

    async def _deliver(self, edition: int) -> None:
        """The event, by whichever process, until that succeeds."""
        while True:
            try:
                await self._random.choice(self._caches).renew()
            except Unavailable:
                await self._while()
            else:
                self.told = max(self.told, edition)
                return

    async def _misfortune(self) -> None:
        for _ in range(4):
            await self._while(0.06)
            await self._direct.flushall()
            self._server.hang()
            await self._while()
            self._server.go_on()

    async def _while(self, longest_s: float = 0.003) -> None:
        if self._random.random() < 0.8:
            await asyncio.sleep(self._random.random() * longest_s)  # the disorder itself: who overtakes whom


@pytest.fixture(scope="module")
def server():
    breakable = Breakable()
    yield breakable
    breakable.stop()


@pytest.mark.parametrize("rounds", [3, pytest.param(150, marks=pytest.mark.soak)])
async def test_nobody_is_told_what_was_read_before_an_acknowledged_renewal(rounds: int, server: Breakable) -> None:
    for _ in range(rounds):
        async with connected(server.url, 60) as direct:
            story = Story(secrets.randbits(32), server, direct)
            async with story.processes():
                await story.in_disorder()
                assert story.read < story.asked, "some of it was kept"
                await until(story.is_served_again)
