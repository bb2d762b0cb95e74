"""The rules of sagas, one by one: forward, back, and again when the answer is not known."""

from collections import Counter
from datetime import timedelta
from time import monotonic

import pytest

from shared.domain.context import Context, begin, current
from shared.domain.saga import Call, Ended, Failure, Remote, Saga, Underway
from shared.infra.db.transact import Transact
from shared.infra.saga.engine import SagaEngine, Timing
from shared.infra.saga.store import LostClaim
from tests.chassis.saga.shop import AT_ONCE, STEPS, Purchase, Receipt, Shop, Sold, Story, Work, refused


async def test_all_steps_happen_once_and_the_outcome_is_kept(shop_url):
    async with Shop(shop_url) as shop:
        result = await shop.buy("happy")
        story = await Story.of(shop, "happy")
        kept = await shop.engine.run(await shop.saga_of("happy"), Receipt, patience_s=1)
    assert result == Ended(Receipt("happy", tuple(STEPS), None), None)
    assert story == Story("done", ["open", "check", "place", "finish"], ["authorize", "capture", "reserve"], dict.fromkeys(STEPS[1::2], 1))
    assert kept == result


async def test_a_step_costs_one_statement_beside_its_own_and_is_sent_by_the_one_before(shop_url):
    async with Shop(shop_url) as shop:
        saga_id = await shop.begin("cheap")
        begin(Context())
        await shop.engine.run(saga_id, Receipt, patience_s=60)
        statements = current().sql_count
        steps = await shop.database.fetch("select step, state, attempts from saga_step where saga_id = $1 order by ctid", saga_id)
    own, finish = 4, 1
    assert statements == own + len(STEPS) + finish
    assert sorted(tuple(row) for row in steps) == sorted((step, "done", 1) for step in STEPS)


async def test_a_saga_that_begins_with_a_call_is_begun_and_marked_as_sent_at_once(shop_url):
    seen: list[tuple[str, int]] = []

    async with Shop(shop_url) as shop:

        async def ask(state: Purchase, call: Call) -> Purchase:
            [row] = await shop.database.fetch("select state, attempts from saga_step where saga_id = $1", saga_id)
            seen.append(tuple(row))
            return state

        async def finish(_: Work, state: Purchase, failure: Failure | None) -> Receipt:
            return Receipt(state.id, (), None)

        saga = Saga("ask", 1, Purchase, [Remote("ask", ask)], finish)
        begin(Context(deadline=monotonic() + 60))

        async def work(unit: Work) -> str:
            return unit.begin_saga("ask", Purchase("asked"), key="asked")

        saga_id = await Transact(shop.database, Work, sagas=[saga])(work)
        assert current().sql_count == 1
        await SagaEngine(shop.database, Work, [saga], timing=AT_ONCE).run(saga_id, Receipt, patience_s=60)
    assert seen == [("sent", 1)]


async def test_what_is_marked_as_sent_and_was_not_is_taken_for_sent(shop_url):
    """Whoever is killed between the mark and the call leaves a step that may have happened: a refusal undoes it too."""
    async with Shop(shop_url, script={"reserve": ["refuse"]}) as shop:
        saga_id = await shop.begin("marked")
        engine = shop.another_engine()

        async def killed(*_: object) -> None:
            raise LostClaim

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(engine, "_remote", killed)
            assert await engine.run(saga_id, Receipt, patience_s=60) == Underway()
        await shop.lapse()
        await shop.drain()
        story = await Story.of(shop, "marked")
    assert (story.state, story.live, story.calls) == ("failed", [], {"reserve": 1})


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
        saga_id = await shop.saga_of("overtaken")
        late = await shop.neighbour._book(f"{saga_id}:authorize:forward", "done")
        story = await Story.of(shop, "overtaken")
    assert late, "the neighbour accepted what had been cancelled"
    assert story.live == []


async def test_patience_at_an_end_leaves_the_saga_to_a_worker_at_once(shop_url):
    async with Shop(shop_url) as shop:
        assert await shop.buy("impatient", patience_s=0.0) == Underway()
        assert await shop.engine.recover() == 1
        assert (await Story.of(shop, "impatient")).state == "done"
