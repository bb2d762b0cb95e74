"""Outbound subscriptions: outside any transaction, at least once, with a key that stays the same."""

import asyncio

import pytest

from shared.domain.context import current
from shared.domain.events import Delivery
from shared.domain.guard import outbound as leaves
from shared.infra.events.subscription import On, outbound
from shared.infra.worker import Worker
from tests.chassis.conftest import Two
from tests.chassis.events.conftest import Listener
from tests.chassis.two_modules import Seen, keeper
from tests.chassis.waiting import until


class Post:
    """Sends; `fails` counts the tries that go wrong for a note, after the letter has left."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []
        self.keys: dict[str, set[str]] = {}
        self.fails: dict[str, int] = {}

    async def send(self, delivery: Delivery[Seen], key: str) -> None:
        leaves("a letter")
        assert current().causation_id == delivery.event_id
        self.keys.setdefault(delivery.event_id, set()).add(key)
        self.sent.append((delivery.key, delivery.aggregate_version))
        if self.fails.get(delivery.data.note, 0):
            self.fails[delivery.data.note] -= 1
            raise ConnectionError("the post office is closed")


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def worker(two: Two, post: Post) -> Worker:
    return Worker([keeper(two.connections, outbound("keeper.things", "maker", {"maker.made": On(Seen, post.send)}))])


async def test_each_event_is_sent_outside_any_transaction_in_the_order_of_its_key(two: Two, worker: Worker, post: Post):
    for thing in ("a", "b", "a", "a"):
        await two.make.make(thing)
    await worker.drain()
    assert [version for thing, version in post.sent if thing == "a"] == [1, 2, 3]
    assert [version for thing, version in post.sent if thing == "b"] == [1]


async def test_a_try_that_may_have_left_is_repeated_with_the_same_key(two: Two, worker: Worker, post: Post, listener: Listener):
    post.fails["bad"] = 2
    await two.make.make("a", note="bad")
    await two.make.make("a")
    await two.make.make("b")
    for _ in range(3):
        await worker.drain()
        await listener.make_due()
    await worker.drain()
    assert sorted(post.sent) == [("a", 1), ("a", 1), ("a", 1), ("a", 2), ("b", 1)]
    assert [version for thing, version in post.sent if thing == "a"] == [1, 1, 1, 2]
    assert all(len(keys) == 1 for keys in post.keys.values())
    assert await listener.states() == ["done"] * 3


async def test_the_keys_of_two_events_differ(two: Two, worker: Worker, post: Post):
    await two.make.make("a")
    await two.make.make("a")
    await worker.drain()
    assert len(set.union(*post.keys.values())) == 2


async def test_an_event_that_comes_while_its_key_is_being_sent_waits_for_its_turn(two: Two, listener: Listener):
    """The end of the first and the arrival of the second overlap: whoever overlooks the other, the second is sent all the same."""
    began, go_on, sent = asyncio.Event(), asyncio.Event(), []

    async def send(delivery: Delivery[Seen], key: str) -> None:
        if delivery.aggregate_version == 1:
            began.set()
            await go_on.wait()
        sent.append(delivery.aggregate_version)

    worker = Worker([keeper(two.connections, outbound("keeper.things", "maker", {"maker.made": On(Seen, send)}))])
    await two.make.make("a")
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    await began.wait()
    await two.make.make("a")

    async def second_waits() -> bool:
        return await listener.states() == ["claimed", "blocked"]

    async def both_sent() -> bool:
        return await listener.states() == ["done", "done"]

    await until(second_waits)
    go_on.set()
    await until(both_sent)
    assert sent == [1, 2]
    stop.set()
    await running


async def test_a_blocked_task_whose_predecessor_ended_unseen_is_freed(two: Two, worker: Worker, post: Post, listener: Listener):
    await two.make.make("a")
    await two.make.make("a")
    await worker.dispatcher.drain()
    await two.admin.execute("update keeper.task set state = 'done' where state = 'ready'")
    await worker.drain()
    assert post.sent == [("a", 2)]


async def test_the_end_of_one_lets_the_next_of_its_key_go_at_once(two: Two, worker: Worker, listener: Listener):
    await two.make.make("a")
    await two.make.make("a")
    await worker.dispatcher.drain()
    assert await listener.states() == ["ready", "blocked"]
    (bench,) = worker.tasks._benches
    (first,) = await bench._claim(8)
    await bench._run(first)
    assert await listener.states() == ["done", "ready"]
