"""A process killed or frozen at any moment of a saga: whoever comes after it ends what it began, and nothing happens twice."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chassis.saga.shop import Shop, Story
from tests.faults.crashpoints import Explorer

SCENARIO = "tests.chassis.saga.scenario"
ROADS: dict[str, tuple[dict[str, list[str]], list[str], str]] = {
    "all goes well": ({}, [], "done"),
    "an answer is lost": ({"authorize": ["lost", "ok"]}, [], "done"),
    "it has to be confirmed": ({"authorize": ["wait", "ok"]}, [], "done"),
    "refused at first after the pivot": ({"capture": ["refuse", "ok"]}, [], "done"),
    "the pivot refuses": ({}, ["place"], "failed"),
    "a neighbour refuses, another cannot undo at once": ({"authorize": ["refuse"], "undo reserve": ["busy", "ok"]}, [], "failed"),
    "refused after a lost answer": ({"authorize": ["lost", "refuse"]}, [], "failed"),
}


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    explorer = Explorer(SCENARIO, tmp_path_factory.mktemp("crash"))
    yield explorer
    explorer.close()


def order(url: str, purchase: str, script: Any = None, refuses: Any = (), claim: float = 15.0) -> dict[str, Any]:
    return {"url": url, "purchase": purchase, "script": script or {}, "refuses": list(refuses), "claim": claim}


def truth(story: Story) -> None:
    """Whatever happened to its owners, a purchase is all or nothing, and each of its effects happened once."""
    assert set(Counter(story.effects).values()) <= {1}, f"something happened twice: {story.effects}"
    effects = set(story.effects)
    if story.state is None:
        assert (effects, story.live) == (set(), [])
    elif story.state == "done":
        assert (effects, story.live) == ({"open", "check", "place", "finish"}, ["authorize", "capture", "reserve"])
    else:
        assert story.state == "failed"
        assert effects - {"check"} == {"open", "close", "finish"}
        assert story.live == []


async def settled(shop: Shop, purchase: str) -> Story:
    """The dead process' claim runs out, others go on, and what has to be confirmed is."""
    await shop.lapse()
    await shop.drain()
    while asleep := await shop.database.fetchval("select id from saga where key = $1 and state = 'waiting'", purchase):
        await shop.wake(asleep)
        await shop.drain()
    return await Story.of(shop, purchase)


@pytest.mark.parametrize("road", ROADS)
async def test_killed_before_and_after_every_statement_commit_and_call(shop_url: str, explorer: Explorer, road: str) -> None:
    script, refuses, end = ROADS[road]
    killed, states = 0, Counter[str | None]()
    for point in explorer.every_point(lambda n: order(shop_url, f"{road} {n}", script, refuses)):
        async with Shop(shop_url, script=script, refuses=frozenset(refuses)) as shop:
            story = await settled(shop, f"{road} {point}")
        truth(story)
        killed += 1
        states[story.state] += 1
    assert killed > 20
    assert states[None] > 0, "no point before the beginning's commit was tried"
    assert set(states) - {None} <= ({"done", "failed"} if "lost" in str(script) else {end})
    assert states[end] > 0


async def frozen_at(explorer: Explorer, what: str, arguments: dict[str, Any]) -> int:
    points = explorer.record({**arguments, "purchase": f"record {arguments['purchase']}"})
    return explorer.freeze_at(points.index(what), arguments)


async def claim_ends(shop: Shop, purchase: str) -> None:
    """Wait exactly as long as the frozen owner's claim, by the clock that decides about it."""
    await shop.database.fetch("select pg_sleep_until(claimed_until) from saga where key = $1 and claimed_until is not null", purchase)


@pytest.mark.parametrize("what", ["before call reserve", "after call reserve", "before call authorize", "before call capture"])
async def test_frozen_between_guard_and_answer_it_stores_nothing_after_the_takeover(shop_url: str, explorer: Explorer, what: str) -> None:
    purchase = f"frozen {what}"
    async with Shop(shop_url) as shop:
        pid = await frozen_at(explorer, what, order(shop_url, purchase, claim=1.0))
        await claim_ends(shop, purchase)
        await shop.drain()
        before = await shop.database.fetch("select * from saga where key = $1", purchase)
        explorer.wake(pid)
        story = await Story.of(shop, purchase)
        assert await shop.database.fetch("select * from saga where key = $1", purchase) == before, "the old owner wrote"
    truth(story)
    assert story.calls[what.split()[2]] in (1, 2), "the key is what stands between the calls of the two owners"


async def test_frozen_before_the_guard_it_sends_nothing_after_the_takeover(shop_url: str, explorer: Explorer) -> None:
    purchase = "frozen before the guard"
    arguments = order(shop_url, purchase, claim=1.0)
    points = explorer.record({**arguments, "purchase": f"record {purchase}"})
    async with Shop(shop_url) as shop:
        pid = explorer.freeze_at(points.index("before call authorize") - 1, arguments)
        await claim_ends(shop, purchase)
        await shop.drain()
        explorer.wake(pid)
        story = await Story.of(shop, purchase)
    truth(story)
    assert story.calls == {"reserve": 1, "authorize": 1, "capture": 1}
