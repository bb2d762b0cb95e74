"""A saga has one owner at a time, and whoever was it once writes nothing any more."""

import asyncio

from shared.domain.context import Context, Principal, begin, current
from shared.domain.saga import Failure, Local, Saga, Underway
from shared.infra.db.transact import Transact
from shared.infra.saga.engine import SagaEngine, Timing
from tests.chassis.saga.shop import AT_ONCE, STEPS, Purchase, Receipt, Shop, Story, Work
from tests.faults.crashpoints import Points


async def test_an_instance_stays_on_the_version_that_it_began_with(shop_url):
    async def other(work: Work, state: Purchase) -> Purchase:
        await work.note(state.id, "version 2")
        return state

    async with Shop(shop_url) as shop:
        saga_id = await shop.begin("of version 1")
        await shop.lapse()
        second = Saga("purchase", 2, Purchase, [Local("other", other)], shop.saga.finish)
        newest = SagaEngine(shop.database, Work, [second], timing=AT_ONCE)
        assert await newest.recover() == 0, "a process that does not know version 1 took it"
        both = SagaEngine(shop.database, Work, [shop.saga, second], timing=AT_ONCE)
        await both.recover()
        story = await Story.of(shop, "of version 1")
        assert saga_id
    assert story.effects == ["open", "check", "place", "finish"]


async def test_who_recovers_a_saga_acts_for_whoever_began_it(shop_url):
    seen: list[Context] = []

    async def look(_: Work, state: Purchase) -> Purchase:
        seen.append(current())
        return state

    async def finish(_: Work, state: Purchase, __: Failure | None) -> Receipt:
        return Receipt(state.id, (), None)

    async with Shop(shop_url) as shop:
        saga = Saga("look", 1, Purchase, [Local("look", look)], finish)
        engine = SagaEngine(shop.database, Work, [saga], timing=AT_ONCE)
        begin(
            Context(correlation_id="cor", traceparent=f"00-{'a' * 32}-{'b' * 16}-01", principal=Principal("user", "usr_1", verified=True))
        )
        transact = Transact(shop.database, Work, sagas=[saga])

        async def work(unit: Work) -> str:
            return unit.begin_saga("look", Purchase("seen"), key="seen")

        saga_id = await transact(work)
        await shop.lapse()
        begin(Context())
        await engine.recover()
    [context] = seen
    assert (context.correlation_id, context.trace_id, context.causation_id) == ("cor", "a" * 32, saga_id)
    assert context.principal == Principal("user", "usr_1")


async def test_fifty_recoveries_at_once_give_every_saga_one_owner(shop_url):
    async with Shop(shop_url, limit=60) as shop:
        for n in range(10):
            await shop.begin(f"crowd {n}")
        await shop.lapse()
        counts = await asyncio.gather(*(shop.another_engine().recover() for _ in range(50)))
        stories = [await Story.of(shop, f"crowd {n}") for n in range(10)]
        tokens = await shop.database.fetch("select token from saga where starts_with(key, 'crowd')")
    assert sum(counts) == 10
    assert not shop.neighbour.disturbed
    assert {story.state for story in stories} == {"done"}
    assert all(story.calls == dict.fromkeys(STEPS[1::2], 1) for story in stories)
    assert [row["token"] for row in tokens] == [2] * 10


async def test_an_owner_that_lost_its_claim_stops_at_its_next_write(shop_url):
    async with Shop(shop_url) as shop:
        saga_id = await shop.begin("taken over")
        act = shop.neighbour.act

        async def taken_over(step, call):
            shop.neighbour.act = act  # type: ignore[method-assign] # only the first call is overtaken
            answer = await act(step, call)
            await shop.lapse()
            await shop.another_engine().recover()
            return answer

        shop.neighbour.act = taken_over  # type: ignore[method-assign] # another worker comes while the call is under way
        assert await shop.engine.run(saga_id, Receipt, patience_s=60) == Underway()
        story = await Story.of(shop, "taken over")
    assert story.effects == ["open", "check", "place", "finish"]
    assert story.calls == {"reserve": 2, "authorize": 1, "capture": 1}


async def test_an_owner_that_lost_its_claim_stores_nothing_even_at_the_same_step(shop_url):
    async with Shop(shop_url) as shop:
        saga_id = await shop.begin("neck and neck")
        act, second_is_there, first_is_gone = shop.neighbour.act, asyncio.Event(), asyncio.Event()

        async def first(step, call):
            shop.neighbour.act = second  # type: ignore[method-assign] # the next owner's call
            await shop.lapse()
            takeover = asyncio.create_task(shop.another_engine().recover())
            await second_is_there.wait()
            overtaken.append(takeover)
            return await act(step, call)

        async def second(step, call):
            shop.neighbour.act = act  # type: ignore[method-assign] # only this one waits
            second_is_there.set()
            await first_is_gone.wait()
            return await act(step, call)

        overtaken: list[asyncio.Task[int]] = []
        shop.neighbour.act = first  # type: ignore[method-assign] # it is taken over during its first call
        assert await shop.engine.run(saga_id, Receipt, patience_s=60) == Underway()
        left = await shop.database.fetchrow("select position, token from saga where id = $1", saga_id)
        first_is_gone.set()
        await overtaken[0]
        story = await Story.of(shop, "neck and neck")
    assert left is not None
    assert tuple(left) == (STEPS.index("reserve"), 2)
    assert (story.state, story.effects) == ("done", ["open", "check", "place", "finish"])


class CutAfter(Points):
    """The connection is lost once, right after a statement that begins so was carried out, and before its answer."""

    def __init__(self, statement: str, after: str) -> None:
        super().__init__()
        self._wanted = [f"after {after}", f"after {statement}"]

    def reach(self, what: str) -> None:
        super().reach(what)
        if self._wanted and what.startswith(self._wanted[0]):
            self._wanted.pop(0)
            if not self._wanted:
                raise ConnectionResetError("the database went away")


async def test_a_step_that_was_stored_without_an_answer_is_not_sent_again(shop_url):
    async with Shop(shop_url, points=CutAfter("with moved as", after="call reserve")) as shop:
        assert await shop.buy("stored unheard") == Underway()
        await shop.lapse()
        await shop.drain()
        story = await Story.of(shop, "stored unheard")
    assert story.state == "done"
    assert story.calls["reserve"] == 1


async def test_a_call_may_not_outlast_the_claim(shop_url):
    async with Shop(shop_url, timing=Timing(claim=2.0, reserve=1.95, first_retry=0.0, in_place=-1.0)) as shop:
        saga_id = await shop.begin("slow")

        async def never(step, call):
            assert 0 < call.timeout_s <= 0.05
            await asyncio.Event().wait()

        act, shop.neighbour.act = shop.neighbour.act, never  # type: ignore[method-assign] # a neighbour that never answers
        assert await shop.engine.run(saga_id, Receipt, patience_s=60) == Underway()
        state = await shop.database.fetchrow("select claimed_until, last_error from saga where id = $1", saga_id)
        assert state is not None
        assert tuple(state) == (None, "TimeoutError")
        shop.neighbour.act = act  # type: ignore[method-assign] # it answers again


async def test_a_process_that_was_frozen_past_its_claim_sends_nothing(shop_url):
    async with Shop(shop_url, timing=Timing(claim=1.0, reserve=1.0)) as shop:
        assert await shop.buy("overslept") == Underway()
        story = await Story.of(shop, "overslept")
    assert story.calls == {}
