"""Every event reaches its subscription once, and those of one key in the order of their commits."""

import asyncio
import random
from collections import defaultdict

from shared.infra.events.dispatcher import Dispatcher
from shared.infra.events.subscription import On, database
from shared.infra.events.wakeup import Wakeup
from tests.chassis.conftest import Two
from tests.chassis.two_modules import Seen, connect, keeper, note


def dispatcher(two: Two, connections=None) -> Dispatcher:
    module = keeper(connections or two.connections, database("keeper.things", "maker", {"maker.made": On(Seen, note)}))
    return Dispatcher([module], Wakeup([module.database]))


async def heard(two: Two) -> dict[str, list[int]]:
    versions = defaultdict(list)
    for row in await two.admin.fetch("select key, version from keeper.heard order by seq"):
        versions[row["key"]].append(row["version"])
    return versions


async def test_an_event_is_heard_once(two: Two):
    await two.make.make("a")
    reader = dispatcher(two)
    assert await reader.drain() == 1
    assert await reader.drain() == 0
    assert await heard(two) == {"a": [1]}


async def test_with_many_writers_and_several_dispatchers_nothing_is_lost_doubled_or_out_of_order(two: Two):
    things = [f"thing-{number}" for number in range(7)]
    draw = random.Random(7)
    done = asyncio.Event()

    async def write() -> None:
        for _ in range(25):
            chosen = draw.sample(things, draw.choice((1, 1, 1, 3)))
            await two.make.make(*chosen)

    async def read() -> None:
        connections = connect(two.url)
        reader = dispatcher(two, connections)
        while not done.is_set():
            await reader.drain()
            await asyncio.sleep(0)
        await reader.drain()
        await connections.close()

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(read()) for _ in range(3)]
        async with asyncio.TaskGroup() as writing:
            for _ in range(24):
                writing.create_task(write())
        done.set()
        await asyncio.gather(*readers)

    published = {row["id"]: row["version"] for row in await two.admin.fetch("select id, version from maker.thing")}
    assert await heard(two) == {thing: list(range(1, version + 1)) for thing, version in published.items()}
