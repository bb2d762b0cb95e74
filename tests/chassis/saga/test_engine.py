"""The rules of sagas, one by one: forward, back, again, asleep, stuck; and never two owners."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.context import Context, Principal, begin, current
from shared.domain.errors import NotFound
from shared.domain.saga import Asleep, Call, Ended, Failure, Local, Remote, Saga, Underway
from shared.infra.db.transact import Transact
from shared.infra.saga.desk import SagaDesk
from shared.infra.saga.engine import SagaEngine, Timing
from shared.infra.saga.operations import SagaOperations
from tests.chassis.saga.shop import AT_ONCE, Purchase, Receipt, Shop, Sold, Story, Work
from tests.faults.crashpoints import Points

STEPS = ["open", "reserve", "check", "authorize", "place", "capture"]


def refused(result: object) -> tuple[str, Any]:
    """The code of the failure, and the outcome."""
    assert isinstance(result, Ended)
    assert result.failure is not None
    return result.failure.code, result.outcome


async def saga_of(shop: Shop, purchase: str) -> str:
    return str(await shop.database.fetchval("select id from saga where key = $1", purchase))


async def test_all_steps_happen_once_and_the_outcome_is_kept(shop_url):
    async with Shop(shop_url) as shop:
        result = await shop.buy("happy")
        story = await Story.of(shop, "happy")
        kept = await shop.engine.run(await saga_of(shop, "happy"), Receipt, patience_s=1)
    assert result == Ended(Receipt("happy", tuple(STEPS), None), None)
    assert story == Story("done", ["open", "check", "place", "finish"], ["authorize", "capture", "reserve"], dict.fromkeys(STEPS[1::2], 1))
    assert kept == result


async def test_a_step_costs_one_statement_beside_its_own_and_a_remote_one_two(shop_url):
    async with Shop(shop_url) as shop:
        saga_id = await shop.begin("cheap")
        begin(Context())
        await shop.engine.run(saga_id, Receipt, patience_s=60)
        statements = current().sql_count
    own, moves = 4, 3 * 1 + 3 * 2 + 1
    assert statements == own + moves


@pytest.mark.parametrize("step", ["open", "reserve", "check", "authorize", "place"])
async def test_a_refusal_before_the_pivot_undoes_in_reverse_what_had_happened(shop_url, step):
    local = frozenset({step}) & {"open", "check", "place"}
    purchase = f"refused at {step}"
    async with Shop(shop_url, refuses=local, script={} if local else {step: ["refuse"]}) as shop:
        result = await shop.buy(purchase)
        story = await Story.of(shop, purchase)
    done = STEPS[: STEPS.index(step)]
    undone = [{"open": "close"}.get(name, f"undo {name}") for name in reversed(done) if name != "check"]
    assert refused(result) == ("sold", Receipt(purchase, (*done, *undone), "sold"))
    assert story.state == "failed"
    assert story.live == []
    assert Counter(story.effects) == Counter([name for name in [*done, *undone] if name in ("open", "close", "check")] + ["finish"])


async def test_after_the_pivot_a_refusal_is_only_tried_again(shop_url):
    async with Shop(shop_url, script={"capture": ["refuse", "refuse", "ok"]}) as shop:
        assert await shop.buy("persistent") == Underway()
        await shop.drain()
        story = await Story.of(shop, "persistent")
    assert story.state == "done"
    assert "close" not in story.effects


async def test_a_saga_that_begins_past_its_pivot_only_goes_forward(shop_url):
    moods = [Sold("not yet"), None]

    async def insist(_: Purchase, __: Call) -> Purchase:
        if (mood := moods.pop(0)) is not None:
            raise mood
        return Purchase("decided")

    async def finish(_: Work, state: Purchase, failure: Failure | None) -> Receipt:
        return Receipt(state.id, (), failure.code if failure else None)

    async with Shop(shop_url) as shop:
        saga = Saga("insist", 1, Purchase, [Remote("insist", insist)], finish, pivoted=True)
        begin(Context())

        async def work(unit: Work) -> str:
            return unit.begin_saga("insist", Purchase("decided"), key="decided")

        saga_id = await Transact(shop.database, Work, sagas=[saga])(work)
        engine = SagaEngine(shop.database, Work, [saga], timing=AT_ONCE)
        assert await engine.run(saga_id, Receipt, patience_s=60) == Underway()
        assert await engine.run(saga_id, Receipt, patience_s=60) == Ended(Receipt("decided", (), None), None)


async def test_what_is_not_known_is_asked_again_with_the_same_key(shop_url):
    async with Shop(shop_url, script={"authorize": ["lost", "lost", "ok"]}) as shop:
        assert await shop.buy("unknown") == Underway()
        await shop.drain()
        story = await Story.of(shop, "unknown")
    assert story.state == "done"
    assert story.calls["authorize"] == 3
    assert story.effects == ["open", "check", "place", "finish"]


async def test_a_refusal_after_an_unknown_call_undoes_that_call_as_well(shop_url):
    async with Shop(shop_url, script={"authorize": ["lost", "refuse"]}) as shop:
        await shop.buy("late refusal")
        await shop.drain()
        story = await Story.of(shop, "late refusal")
    assert story.state == "failed"
    assert story.live == []
    assert story.calls["authorize"] == 2  # the one that was lost, and its undoing


async def test_a_known_refusal_needs_no_undoing_of_its_own(shop_url):
    async with Shop(shop_url, script={"authorize": ["refuse"]}) as shop:
        await shop.buy("plain refusal")
        story = await Story.of(shop, "plain refusal")
    assert "authorize" not in story.calls


async def test_retries_within_the_patience_keep_the_claim_and_the_caller_gets_the_outcome(shop_url):
    in_place = Timing(first_retry=0.0, last_retry=0.0)
    async with Shop(shop_url, script={"reserve": ["busy", "busy", "ok"]}, timing=in_place) as shop:
        result = await shop.buy("patient")
        token = await shop.database.fetchval("select token from saga where key = 'patient'")
    assert isinstance(result, Ended)
    assert token == 1


async def test_who_gives_up_undoes_also_the_step_that_may_have_happened(shop_url):
    async with Shop(shop_url, script={"authorize": ["lost"]}, give_up_after=timedelta(0)) as shop:
        result = await shop.buy("given up")
        story = await Story.of(shop, "given up")
    assert refused(result)[0] == "unavailable"
    assert story.state == "failed"
    assert story.live == []


async def test_a_cancellation_that_overtakes_its_action_wins(shop_url):
    async with Shop(shop_url, script={"authorize": ["lost"]}, give_up_after=timedelta(0)) as shop:
        await shop.buy("overtaken")
        saga_id = await saga_of(shop, "overtaken")
        late = await shop.neighbour._book(f"{saga_id}:authorize:forward", "done")
        story = await Story.of(shop, "overtaken")
    assert late, "the neighbour accepted what had been cancelled"
    assert story.live == []


async def test_patience_at_an_end_leaves_the_saga_to_a_worker_at_once(shop_url):
    async with Shop(shop_url) as shop:
        assert await shop.buy("impatient", patience_s=0.0) == Underway()
        assert await shop.engine.recover() == 1
        assert (await Story.of(shop, "impatient")).state == "done"


async def test_a_saga_sleeps_until_it_is_woken_and_asks_again_with_the_same_key(shop_url):
    async with Shop(shop_url, script={"authorize": ["wait", "ok"]}) as shop:
        asleep = await shop.buy("sleeper")
        assert isinstance(asleep, Asleep)
        assert asleep.state.trail[-1] == "asked authorize"
        saga_id = await saga_of(shop, "sleeper")
        await shop.drain()
        assert await shop.engine.run(saga_id, Receipt, patience_s=1) == asleep
        await shop.wake(saga_id)
        woken = await shop.engine.run(saga_id, Receipt, patience_s=60)
        story = await Story.of(shop, "sleeper")
    assert isinstance(woken, Ended)
    assert woken.failure is None
    assert story.calls["authorize"] == 2


async def test_a_wake_up_before_the_saga_falls_asleep_is_not_lost(shop_url):
    async with Shop(shop_url, script={"authorize": ["wait", "ok"]}) as shop:
        saga_id = await shop.begin("early bird")
        act = shop.neighbour.act

        async def webhook_first(step, call):
            answer = await act(step, call)
            if not answer:
                await shop.wake(saga_id)
            return answer

        shop.neighbour.act = webhook_first  # type: ignore[method-assign] # the provider's webhook overtakes its own answer
        assert isinstance(await shop.engine.run(saga_id, Receipt, patience_s=60), Asleep)
        assert await shop.engine.recover() == 1
        assert (await Story.of(shop, "early bird")).state == "done"


async def test_a_sleeper_whose_time_is_up_is_undone(shop_url):
    async with Shop(shop_url, script={"authorize": ["wait"]}, give_up_after=timedelta(0)) as shop:
        result = await shop.buy("never confirmed")
        story = await Story.of(shop, "never confirmed")
    assert refused(result)[0] == "timed_out"
    assert story.live == []


async def test_waking_what_has_ended_or_never_was_changes_nothing(shop_url):
    async with Shop(shop_url) as shop:
        await shop.buy("over")
        saga_id = await saga_of(shop, "over")
        before = await shop.database.fetch("select * from saga where id = $1", saga_id)
        await shop.wake(saga_id)
        await shop.wake("sag_unknown")
        assert await shop.database.fetch("select * from saga where id = $1", saga_id) == before


async def test_a_compensation_that_fails_for_a_while_is_repeated_until_it_is_done(shop_url):
    async with Shop(shop_url, script={"authorize": ["refuse"], "undo reserve": ["busy", "busy", "ok"]}) as shop:
        await shop.buy("stubborn")
        assert (await Story.of(shop, "stubborn")).live == ["reserve"]
        await shop.drain()
        story = await Story.of(shop, "stubborn")
    assert story.state == "failed"
    assert story.live == []


@pytest.mark.parametrize(
    ("purchase", "script", "ends", "live"),
    [
        ("stuck ahead", {"capture": ["busy"] * Saga.RETRIES_BEFORE_STUCK + ["ok"]}, "done", ["authorize", "capture", "reserve"]),
        ("stuck behind", {"authorize": ["refuse"], "undo reserve": ["busy"] * Saga.RETRIES_BEFORE_STUCK + ["ok"]}, "failed", []),
    ],
)
async def test_what_fails_too_often_is_stuck_and_visible_until_an_operator_resumes_it(shop_url, purchase, script, ends, live):
    async with Shop(shop_url, script=script) as shop:
        await shop.buy(purchase)
        await shop.drain()
        desk = SagaDesk(shop.database)
        [row] = await desk.list(state="stuck", key=purchase)
        assert row.attempts == Saga.RETRIES_BEFORE_STUCK
        assert row.last_error is not None
        assert "Busy" in row.last_error
        await desk.resume(row.id)
        await shop.drain()
        sheet = await desk.show(row.id)
        story = await Story.of(shop, purchase)
    assert (story.state, story.live) == (ends, live)
    assert [step.state for step in sheet.steps if step.direction == "back"] == ["done"] * (2 if ends == "failed" else 0)


async def test_what_is_not_there_or_over_cannot_be_resumed(shop_url):
    async with Shop(shop_url) as shop:
        await shop.buy("finished")
        desk = SagaDesk(shop.database)
        with pytest.raises(NotFound):
            await desk.resume(await saga_of(shop, "finished"))
        with pytest.raises(NotFound):
            await desk.show("sag_unknown")


async def test_a_step_that_kills_its_owner_again_and_again_is_stuck_instead_of_run_again(shop_url):
    async with Shop(shop_url) as shop:
        saga_id = await shop.begin("poison")
        await shop.database.fetch("update saga set attempts = $2, position = 5 where id = $1", saga_id, Saga.RETRIES_BEFORE_STUCK - 1)
        await shop.lapse()
        await shop.engine.recover()
        [row] = await SagaDesk(shop.database).list(state="stuck", key="poison")
        assert (await Story.of(shop, "poison")).calls == {}
        await shop.engine.run(row.id, Receipt, patience_s=1)
        assert (await Story.of(shop, "poison")).calls == {}


async def test_a_step_that_kills_its_owners_before_the_pivot_is_undone_when_its_time_is_up(shop_url):
    async with Shop(shop_url, give_up_after=timedelta(0)) as shop:
        saga_id = await shop.begin("poisoned early")
        await shop.database.fetch("update saga set attempts = $2, position = 1 where id = $1", saga_id, Saga.RETRIES_BEFORE_STUCK - 1)
        await shop.lapse()
        await shop.engine.recover()
        story = await Story.of(shop, "poisoned early")
    assert (story.state, story.live) == ("failed", [])


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
        assert tuple(state) == (None, "TimeoutError: ")
        shop.neighbour.act = act  # type: ignore[method-assign] # it answers again


async def test_a_process_that_was_frozen_past_its_claim_sends_nothing(shop_url):
    async with Shop(shop_url, timing=Timing(claim=1.0, reserve=1.0)) as shop:
        assert await shop.buy("overslept") == Underway()
        story = await Story.of(shop, "overslept")
    assert story.calls == {}


async def test_an_operation_is_shown_to_who_began_it_and_to_staff(shop_url):
    beginner = Principal("user", "usr_1", frozenset({"customer"}))
    begin(Context(principal=beginner))
    async with Shop(shop_url, script={"authorize": ["wait", "refuse"]}) as shop:
        operations = SagaOperations([(shop.database, [shop.saga])])
        await shop.buy("watched")
        saga_id = await saga_of(shop, "watched")
        waiting = await operations.read(saga_id, beginner)
        assert (waiting.kind, waiting.status, waiting.result, waiting.ended_at) == ("purchase", "waiting", "/v1/purchases/watched", None)
        assert await operations.read(saga_id, Principal("user", "usr_2", frozenset({"support"}))) == waiting
        for stranger in (Principal("user", "usr_2", frozenset({"customer"})), Principal("cart", "usr_1"), Principal()):
            with pytest.raises(NotFound):
                await operations.read(saga_id, stranger)
        await shop.wake(saga_id)
        await shop.drain()
        failed = await operations.read(saga_id, beginner)
    assert failed.status == "failed"
    assert failed.failure is not None
    assert failed.failure.code == "sold"
    assert failed.ended_at is not None
