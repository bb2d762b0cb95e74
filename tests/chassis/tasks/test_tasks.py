"""Tasks: durable, at least once, one after the other where they share a key, and dead in the end when they keep failing."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shared.domain.context import current
from shared.domain.guard import OutboundInTransaction, outbound
from shared.infra.db.transact import Transact
from shared.infra.events.wakeup import Wakeup
from shared.infra.tasks.kind import TaskKind
from shared.infra.tasks.retry import DELAYS_S
from shared.infra.tasks.worker import TaskWorker
from shared.module import Module
from tests.chassis.conftest import Two
from tests.chassis.two_modules import Keeping, connect, keeper
from tests.chassis.waiting import until


class Chore(msgspec.Struct, frozen=True):
    name: str


class Chores:
    """A kind whose runs are remembered; `fails` says how many tries of a name go wrong."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.keys: list[str] = []
        self.fails: dict[str, int] = {}
        self.kind = TaskKind("chore", Chore, self.run)

    async def run(self, chore: Chore, key: str) -> None:
        self.keys.append(key)
        if self.fails.get(chore.name, 0):
            self.fails[chore.name] -= 1
            raise ValueError(f"{chore.name} went wrong")
        self.done.append(chore.name)


@pytest.fixture
def chores() -> Chores:
    return Chores()


@pytest.fixture
def module(two: Two, chores: Chores) -> Module:
    return keeper(two.connections, tasks=[chores.kind])


@pytest.fixture
def worker(module: Module) -> TaskWorker:
    return TaskWorker([module], Wakeup([module.database]))


async def enqueue(module: Module, *names: str, **how: Any) -> None:
    async def work(keeping: Keeping) -> None:
        for name in names:
            keeping.enqueue("chore", Chore(name), **how)

    await Transact(module.database, Keeping, tasks=["chore"])(work)


async def states(two: Two) -> list[str]:
    return [row["state"] for row in await two.admin.fetch("select state from keeper.task order by seq")]


async def make_due(two: Two) -> None:
    await two.admin.execute("update keeper.task set due_at = now() where state = 'ready'")


async def test_a_task_runs_once_and_is_done(two, module, worker, chores):
    await enqueue(module, "sweep")
    await worker.drain()
    await worker.drain()
    assert chores.done == ["sweep"]
    assert await states(two) == ["done"]


async def test_a_task_of_a_transaction_that_rolled_back_never_was(two, module, worker, chores):
    async def work(keeping: Keeping) -> None:
        keeping.enqueue("chore", Chore("never"))
        raise ValueError("changed my mind")

    with pytest.raises(ValueError, match="changed my mind"):
        await Transact(module.database, Keeping, tasks=["chore"])(work)
    assert await worker.drain() == 0
    assert await states(two) == []


async def test_of_several_with_one_unique_value_only_the_first_is_kept_until_it_has_ended(two, module, worker, chores):
    await enqueue(module, "first", unique="u")
    await enqueue(module, "second", unique="u")
    await enqueue(module, "other", unique="v")
    await worker.drain()
    await enqueue(module, "third", unique="u")
    await worker.drain()
    assert chores.done == ["first", "other", "third"]


async def test_the_greater_priority_goes_first(two, module, worker, chores):
    await enqueue(module, "low", priority=1)
    await enqueue(module, "high", priority=9)
    await enqueue(module, "middle")
    one_place = TaskWorker([module], Wakeup([module.database]))
    one_place._benches[0]._places = 1
    await one_place.drain()
    assert chores.done == ["high", "middle", "low"]


async def test_a_delayed_task_waits_for_its_time_on_the_database_clock(two, module, worker, chores):
    await enqueue(module, "later", delay_s=3600)
    assert await worker.drain() == 0
    await make_due(two)
    assert await worker.drain() == 1
    assert chores.done == ["later"]


async def test_a_failing_task_is_tried_again_with_growing_delays_and_the_same_key_and_is_dead_in_the_end(two, module, worker, chores):
    chores.fails["broken"] = 99
    await enqueue(module, "broken")
    for expected in DELAYS_S:
        await worker.drain()
        delay = await two.admin.fetchval("select extract(epoch from due_at - clock_timestamp())::float8 from keeper.task")
        assert 0.7 * expected - 1 < delay <= 1.2 * expected
        await make_due(two)
    await worker.drain()
    row = await two.admin.fetchrow("select state, attempts, last_error from keeper.task")
    assert tuple(row) == ("dead", 8, "ValueError")
    assert len(set(chores.keys)) == 1
    assert len(chores.keys) == 8


async def test_tasks_of_one_key_run_in_order_and_wait_for_a_failed_one_while_others_flow(two, module, worker, chores):
    chores.fails["a1"] = 1
    await enqueue(module, "a1", "a2", "a3", key="a")
    await enqueue(module, "b1", key="b")
    await worker.drain()
    assert chores.done == ["b1"]
    await make_due(two)
    await worker.drain()
    assert chores.done == ["b1", "a1", "a2", "a3"]


async def test_two_tasks_of_one_key_never_run_at_the_same_time_in_several_workers(two):
    inside, most = 0, 0

    async def run(chore: Chore, key: str) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1

    modules = [keeper(connect(two.url), tasks=[TaskKind("chore", Chore, run)]) for _ in range(3)]
    await asyncio.gather(*(enqueue(modules[0], str(number), key="one") for number in range(30)))

    async def drain(module: Module) -> None:
        worker = TaskWorker([module], Wakeup([module.database]))
        while await module.database.fetchval("select exists (select from task where state in ('ready', 'claimed'))"):
            await worker.drain()

    await asyncio.gather(*(drain(module) for module in modules))
    assert await states(two) == ["done"] * 30
    assert most == 1
    for module in modules:
        await module.database.connections.close()


async def test_a_payload_that_cannot_be_read_is_dead_at_once_and_says_why(two, module, worker):
    await enqueue(module, "fine")
    await two.admin.execute("""update keeper.task set payload = '{"name": 7}'""")
    await worker.drain()
    state, error = await two.admin.fetchrow("select state, last_error from keeper.task")
    assert state == "dead"
    assert "Expected `str`, got `int`" in error


async def test_a_run_that_takes_too_long_is_cut_and_tried_again(two):
    async def for_ever(chore: Chore, key: str) -> None:
        await asyncio.Event().wait()

    module = keeper(two.connections, tasks=[TaskKind("chore", Chore, for_ever, timeout=timedelta(milliseconds=20))])
    await enqueue(module, "slow")
    await TaskWorker([module], Wakeup([module.database])).drain()
    assert await two.admin.fetchval("select last_error from keeper.task") == "TimeoutError"
    assert await states(two) == ["ready"]


async def test_an_outcome_is_not_stored_after_the_claim_was_lost(two):
    """The first worker is slower than its claim; a second one runs the task meanwhile, and the first changes nothing any more."""
    began = [asyncio.Event(), asyncio.Event()]
    go_on = [asyncio.Event(), asyncio.Event()]
    keys: list[str] = []

    async def run(chore: Chore, key: str) -> None:
        number = len(keys)
        keys.append(key)
        began[number].set()
        await go_on[number].wait()
        if number == 0:
            raise ValueError("the slow one fails")

    module = keeper(two.connections, tasks=[TaskKind("chore", Chore, run)])
    await enqueue(module, "contested")
    slow = asyncio.create_task(TaskWorker([module], Wakeup([module.database])).drain())
    await began[0].wait()
    await two.admin.execute("update keeper.task set claimed_until = now() - interval '1 second'")
    quick = asyncio.create_task(TaskWorker([module], Wakeup([module.database])).drain())
    await began[1].wait()
    go_on[0].set()
    await slow
    assert await states(two) == ["claimed"], "it is the second one's"
    go_on[1].set()
    await quick
    assert await states(two) == ["done"]
    assert await two.admin.fetchval("select last_error from keeper.task") == "the worker vanished while it ran this task"
    assert keys[0] == keys[1]


async def test_a_task_whose_worker_vanished_three_times_is_dead(two, module, worker, chores):
    await enqueue(module, "deadly")
    for _ in range(3):
        await two.admin.execute("update keeper.task set state = 'claimed', claim = 'gone', claimed_until = now() where state = 'ready'")
        assert await worker._benches[0]._claims.reclaim()
    assert await worker.drain() == 0
    assert await states(two) == ["dead"]


async def test_the_claim_of_a_long_run_is_renewed(two):
    began, go_on = asyncio.Event(), asyncio.Event()

    async def run(chore: Chore, key: str) -> None:
        began.set()
        await go_on.wait()

    module = keeper(two.connections, tasks=[TaskKind("chore", Chore, run)])
    worker = TaskWorker([module], Wakeup([module.database]), claim_s=0.3)
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    await enqueue(module, "long")
    await began.wait()
    ends = await two.admin.fetchval("select claimed_until from keeper.task")
    await until(lambda: two.admin.fetchval("select claimed_until > $1::timestamptz + interval '1 second' from keeper.task", ends))
    go_on.set()
    await until(lambda: two.admin.fetchval("select state = 'done' and attempts = 1 from keeper.task"))
    stop.set()
    await running


async def test_a_stop_lets_what_runs_finish_and_claims_nothing_more(two, chores):
    began, go_on = asyncio.Event(), asyncio.Event()

    async def run(chore: Chore, key: str) -> None:
        began.set()
        await go_on.wait()

    module = keeper(two.connections, tasks=[TaskKind("chore", Chore, run)])
    stop = asyncio.Event()
    running = asyncio.create_task(TaskWorker([module], Wakeup([module.database])).run(stop))
    await enqueue(module, "first", key="lane")
    await began.wait()
    stop.set()
    await enqueue(module, "second", key="lane")
    go_on.set()
    await running
    assert await states(two) == ["done", "ready"]


async def test_a_task_runs_outside_any_transaction_on_behalf_of_who_caused_it(two):
    seen = []

    async def run(chore: Chore, key: str) -> None:
        outbound("a mail")
        context = current()
        seen.append((context.principal.scope, context.correlation_id, context.causation_id, context.traceparent))

    module = keeper(two.connections, tasks=[TaskKind("chore", Chore, run)])

    async def work(keeping: Keeping) -> None:
        with pytest.raises(OutboundInTransaction):
            outbound("a mail")
        context = current()
        context.correlation_id, context.traceparent = "cor", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        keeping.enqueue("chore", Chore("mail"))

    await Transact(module.database, Keeping, tasks=["chore"])(work)
    await TaskWorker([module], Wakeup([module.database])).drain()
    task_id = await two.admin.fetchval("select id from keeper.task")
    assert seen == [("anonymous:", "cor", task_id, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
