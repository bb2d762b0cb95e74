"""Sagas that do not go on by themselves: asleep until they are woken, stuck until they are resumed."""

from datetime import timedelta

import pytest

from shared.domain.errors import NotFound
from shared.domain.saga import Asleep, Ended, Saga
from shared.infra.saga.desk import SagaDesk
from tests.chassis.saga.shop import Receipt, Shop, Story, refused


async def test_a_saga_sleeps_until_it_is_woken_and_asks_again_with_the_same_key(shop_url):
    async with Shop(shop_url, script={"authorize": ["wait", "ok"]}) as shop:
        asleep = await shop.buy("sleeper")
        assert isinstance(asleep, Asleep)
        assert asleep.state.trail[-1] == "asked authorize"
        saga_id = await shop.saga_of("sleeper")
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
        saga_id = await shop.saga_of("over")
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
            await desk.resume(await shop.saga_of("finished"))
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
