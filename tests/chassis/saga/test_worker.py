"""The worker's loop: it goes on with what was left to it as soon as that is said, and stops between two steps."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from shared.domain.context import Context, begin
from shared.domain.saga import Ended, Failure, Local, Saga, Underway
from shared.infra.db.transact import Transact
from shared.infra.events.wakeup import Wakeup
from shared.infra.saga.engine import SagaEngine, Timing
from shared.infra.saga.worker import AT_ONCE, SagaWorker
from shared.infra.supervisor import Supervisor, supervised
from shared.module import Module
from tests.chassis.saga.shop import Purchase, Receipt, Shop, Story, Work

SOON_S = 10.0
NEVER = Timing(poll=3600.0)
"""No poll: what is heard is heard by its wake-up."""


@asynccontextmanager
async def working(shop: Shop, *sagas: Saga[Any, Any]) -> AsyncIterator[asyncio.Event]:
    """A worker beside the test, which has looked once and found nothing; the event that stops it."""
    module = Module(name="shop", database=shop.database, work=Work, sagas=[shop.saga, *sagas])
    worker = SagaWorker([module], Wakeup([shop.database]), NEVER)
    stop = asyncio.Event()
    running = asyncio.create_task(Supervisor(worker.loops()).run(stop))

    async def looked() -> bool:
        return any(point.startswith("after with due as") for point in shop.points.passed)

    try:
        await until(looked)
        yield stop
    finally:
        stop.set()
        await running


async def until(condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    async with asyncio.timeout(SOON_S):
        while not await condition():
            await asyncio.sleep(0)


async def test_what_a_request_has_no_patience_for_is_gone_on_with_without_a_poll(shop_url):
    async with Shop(shop_url) as shop, working(shop):
        assert await shop.buy("left", patience_s=0.0) == Underway()

        async def done() -> bool:
            return (await Story.of(shop, "left")).state == "done"

        await until(done)


async def test_a_saga_begun_by_what_has_no_deadline_belongs_to_the_workers_at_once(shop_url):
    async with Shop(shop_url) as shop, working(shop):
        begin(Context())

        async def work(unit: Work) -> str:
            return unit.begin_saga("purchase", Purchase("handed over"), key="handed over")

        await shop.transact(work)

        async def done() -> bool:
            return (await Story.of(shop, "handed over")).state == "done"

        await until(done)


async def test_a_saga_that_ends_by_beginning_another_leaves_that_one_to_the_workers(shop_url):
    async def nothing(_: Work, state: Purchase) -> Purchase:
        return state

    async def finish(work: Work, state: Purchase, _: Failure | None) -> Receipt:
        work.begin_saga("purchase", Purchase("second of two"), key="second of two")
        return Receipt(state.id, (), None)

    first = Saga("first", 1, Purchase, [Local("nothing", nothing)], finish)
    async with Shop(shop_url) as shop, working(shop, first):
        begin(Context(deadline=monotonic() + 60))

        async def work(unit: Work) -> str:
            return unit.begin_saga("first", Purchase("first of two"), key="first of two")

        saga_id = await Transact(shop.database, Work, sagas=[first])(work)
        assert isinstance(await SagaEngine(shop.database, Work, [shop.saga, first]).run(saga_id, Receipt, patience_s=60), Ended)

        async def done() -> bool:
            return (await Story.of(shop, "second of two")).state == "done"

        await until(done)


async def test_more_sagas_than_places_are_all_done(shop_url):
    async with Shop(shop_url) as shop, working(shop):
        for n in range(2 * AT_ONCE):
            await shop.buy(f"many {n}", patience_s=0.0)

        async def done() -> bool:
            ended = await shop.database.fetch("select id from saga where key like 'many %' and state = 'done'")
            return len(ended) == 2 * AT_ONCE

        await until(done)
    assert not shop.neighbour.disturbed


async def test_a_stop_ends_between_two_steps_and_leaves_the_rest_to_others(shop_url):
    async with Shop(shop_url) as shop:
        async with working(shop) as stop:
            act = shop.neighbour.act

            async def stopped(step, call):
                stop.set()
                return await act(step, call)

            shop.neighbour.act = stopped  # type: ignore[method-assign] # the process is told to stop during the first call
            await shop.buy("interrupted", patience_s=0.0)
            await stop.wait()
        shop.neighbour.act = act  # type: ignore[method-assign] # another process
        assert (await Story.of(shop, "interrupted")).calls == {"reserve": 1}
        await shop.drain()
        assert (await Story.of(shop, "interrupted")).state == "done"


async def test_what_runs_goes_on_when_its_loop_crashes(shop_url):
    """It was cancelled once, and waited for its claim to run out."""
    called, go_on = asyncio.Event(), asyncio.Event()
    async with Shop(shop_url) as shop:
        act = shop.neighbour.act

        async def slowly(step, call):
            called.set()
            await go_on.wait()
            return await act(step, call)

        shop.neighbour.act = slowly  # type: ignore[method-assign] # a call that takes its time
        await shop.buy("slow", patience_s=0.0)
        module = Module(name="shop", database=shop.database, work=Work, sagas=[shop.saga])
        [loop] = SagaWorker([module], Wakeup([shop.database]), Timing(poll=0.01)).loops()
        async with supervised([loop]):
            await called.wait()
            await shop.database.fetch("alter table saga rename to away")

            async def crashed() -> bool:
                return loop.crashes > 0

            await until(crashed)
            await shop.database.fetch("alter table away rename to saga")
            go_on.set()

            async def done() -> bool:
                return (await Story.of(shop, "slow")).state == "done"

            await until(done)
        assert await shop.database.fetchval("select token from saga where key = 'slow'") == 2  # of whoever began it, and of one worker
