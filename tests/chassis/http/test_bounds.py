"""A bulkhead has its places and a short queue, and retries have a budget."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import Busy, NotFound
from shared.domain.outbound import AnswerRefused, CircuitOpen, DeadlineOver, Failing, Unanswered, Unreachable
from shared.infra.http.bulkhead import Bulkhead
from shared.infra.http.retries import Retries, RetryBudget, RetryPolicy
from tests.chassis.http.conftest import Moved

PATIENT_S = 60.0


async def test_places_and_queue_are_never_exceeded():
    bulkhead = Bulkhead("it", places=5, queue=10)
    may_end = asyncio.Event()
    most = 0

    async def enter():
        nonlocal most
        async with bulkhead.place(PATIENT_S):
            most = max(most, bulkhead.inside)
            await may_end.wait()

    entering = [asyncio.create_task(enter()) for _ in range(200)]
    refused, _ = await asyncio.wait(entering[15:])
    assert {type(task.exception()) for task in refused} == {Busy}
    assert (bulkhead.inside, bulkhead.waiting) == (5, 10)

    may_end.set()
    await asyncio.gather(*entering[:15])
    assert most == 5
    assert bulkhead.idle


async def test_waiting_ends_with_patience_and_whoever_gives_up_leaves_no_trace():
    bulkhead = Bulkhead("it", places=1, queue=10)

    async def enter():
        async with bulkhead.place(PATIENT_S):
            pass

    async with bulkhead.place(PATIENT_S):
        with pytest.raises(Busy):
            async with bulkhead.place(0.001):
                pass
        waiting = [asyncio.create_task(enter()) for _ in range(10)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert (bulkhead.inside, bulkhead.waiting) == (1, 0)
    await enter()
    assert bulkhead.idle


def test_retries_are_a_tenth_of_the_calls_or_a_few_where_calls_are_few():
    clock = Moved()
    budget = RetryBudget(RetryPolicy(ratio=0.1, spare=2, window_s=60), clock)
    assert [budget.take() for _ in range(4)] == [True, True, False, False]
    for _ in range(1000):
        budget.called()
    assert sum(budget.take() for _ in range(1000)) == 98
    clock.time += 61
    assert [budget.take() for _ in range(3)] == [True, True, False]


@given(st.lists(st.tuples(st.sampled_from(["called", "take"]), st.floats(0, 3)), max_size=200))
def test_the_budget_holds_in_every_window(happened):
    clock = Moved()
    budget = RetryBudget(RetryPolicy(ratio=0.1, spare=2, window_s=10), clock)
    calls, retries = [], []
    for what, pause in happened:
        clock.time += pause
        if what == "called":
            budget.called()
            calls.append(clock.time)
        elif budget.take():
            retries.append(clock.time)
            recent = [sum(1 for time in times if time > clock.time - 9) for times in (retries, calls)]
            allowing = sum(1 for time in calls if time > clock.time - 10)
            assert recent[0] <= max(2, 0.1 * allowing)


def retries(clock, *, repeatable=True, ends_in=10.0, budget=None, **policy):
    bounds = RetryPolicy(**policy)
    return Retries(bounds, budget or RetryBudget(bounds, clock), clock.time + ends_in, repeatable=repeatable, now=clock)


@pytest.mark.parametrize("error", [Unreachable("x"), Unanswered("x"), Failing("x")], ids=lambda error: error.code)
def test_what_may_pass_is_tried_again_up_to_the_number_of_attempts(clock, error):
    call = retries(clock, attempts=3, spare=99)
    pauses = [call.pause(error) for _ in range(4)]
    assert [isinstance(pause, float) for pause in pauses] == [True, True, False, False]


@pytest.mark.parametrize(
    "error",
    [CircuitOpen("x"), Busy("x"), DeadlineOver("x"), AnswerRefused("x"), NotFound("x"), ValueError()],
    ids=lambda error: type(error).__name__,
)
def test_what_would_be_the_same_again_is_not(clock, error):
    assert retries(clock).pause(error) is False


def test_what_may_not_be_repeated_is_not_and_costs_nothing(clock):
    budget = RetryBudget(RetryPolicy(spare=1), clock)
    assert retries(clock, repeatable=False, budget=budget).pause(Unanswered("x")) is False
    assert budget.take()


def test_pauses_grow_within_their_bounds_and_differ(clock):
    pauses = []
    for _ in range(200):
        call = retries(clock, attempts=8, spare=99, first_pause_s=0.1, longest_pause_s=0.5)
        pauses.append([call.pause(Unanswered("x")) for _ in range(7)])
    for number, bound in enumerate([0.1, 0.2, 0.4, 0.5, 0.5, 0.5, 0.5]):
        nth = [each[number] for each in pauses]
        assert bound / 2 < max(nth) <= bound
        assert len(set(nth)) > 100


def test_a_pause_is_as_long_as_the_target_asked_for_and_none_reaches_past_the_end(clock):
    assert retries(clock).pause(Failing("x", retry_after=7)) == 7
    budget = RetryBudget(RetryPolicy(spare=1), clock)
    assert retries(clock, budget=budget).pause(Failing("x", retry_after=10)) is False
    assert budget.take(), "a retry that is not made is not counted"
