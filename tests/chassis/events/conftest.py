"""A listener whose behaviour a test chooses, and its worker."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.domain.events import Delivery
from shared.infra.db.connections import Connections
from shared.infra.events.subscription import On, Subscription, database
from shared.infra.worker import Worker
from tests.chassis.conftest import Two
from tests.chassis.two_modules import Keeping, Seen, keeper

Handle = Callable[[Any, Delivery[Seen]], Awaitable[None]]


@dataclass
class Listener:
    """Keeper with one subscription, `keeper.things`. `fails`: how many tries of an event with that note go wrong."""

    two: Two
    fails: dict[str, int] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)

    async def handle(self, work: Keeping, delivery: Delivery[Seen]) -> None:
        self.runs.append(delivery.data.note)
        await work.note(delivery)
        if self.fails.get(delivery.data.note, 0):
            self.fails[delivery.data.note] -= 1
            raise ValueError(f"{delivery.data.note} went wrong")

    def worker(self, handle: Handle | None = None, connections: Connections | None = None, *more: Subscription[Any]) -> Worker:
        subscription = database("keeper.things", "maker", {"maker.made": On(Seen, handle or self.handle)})
        return Worker([keeper(connections or self.two.connections, subscription, *more)])

    async def heard(self, subscription: str = "keeper.things") -> dict[str, list[int]]:
        rows = await self.two.admin.fetch("select key, version from keeper.heard where subscription = $1 order by seq", subscription)
        versions = defaultdict(list)
        for row in rows:
            versions[row["key"]].append(row["version"])
        return versions

    async def states(self) -> list[str]:
        """Of the tasks that carry events, in their order."""
        rows = await self.two.admin.fetch("select state from keeper.task where starts_with(kind, 'event:') order by seq")
        return [row["state"] for row in rows]

    async def make_due(self) -> None:
        await self.two.admin.execute("update keeper.task set due_at = now() where state = 'ready'")


@pytest.fixture
def listener(two: Two) -> Listener:
    return Listener(two)
