"""The breaker opens on what the last seconds say, and lets exactly as many try as it was told."""

import asyncio
from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.outbound import CircuitOpen
from shared.infra.http.breaker import Breaker, BreakerPolicy, Call
from shared.infra.http.window import SLICES, Window
from tests.chassis.http.conftest import Moved

POLICY = BreakerPolicy(
    window_s=10, minimum=10, failure_ratio=0.5, slow_s=1, slow_ratio=0.8, open_s=5, longest_open_s=60, probes=3
)  # fmt: skip


@pytest.fixture
def states() -> list[str]:
    return []


@pytest.fixture
def breaker(clock, states) -> Breaker:
    return Breaker("the parcel service", POLICY, changed=states.append, now=clock)


def succeed(breaker, times=1):
    for _ in range(times):
        with breaker.call() as call:
            call.answered()


def fail(breaker, times=1, *, asked_for=0.0):
    for _ in range(times):
        with breaker.call() as call:
            call.failed(asked_for=asked_for)


def be_slow(breaker, clock, seconds=1.0):
    with breaker.call() as call:
        clock.time += seconds
        call.answered()


def refused(breaker):
    with pytest.raises(CircuitOpen) as error:
        breaker.call()
    return error.value.facts["retry_after"]


def half_open(breaker, clock):
    fail(breaker, 10)
    clock.time += 5
    assert breaker.state == "half_open"


def test_it_opens_when_the_ratio_is_reached(breaker, states):
    succeed(breaker, 6)
    fail(breaker, 5)
    assert breaker.state == "closed"
    fail(breaker)
    assert (breaker.state, states) == ("open", ["open"])
    assert refused(breaker) == 5


def test_few_calls_prove_nothing(breaker):
    fail(breaker, 9)
    assert breaker.state == "closed"
    succeed(breaker)
    assert breaker.state == "open"


def test_what_is_older_than_the_window_is_forgotten(breaker, clock):
    fail(breaker, 9)
    clock.time += 10
    fail(breaker, 9)
    assert breaker.state == "closed"


def test_slow_answers_open_it_too(breaker, clock):
    for _ in range(9):
        be_slow(breaker, clock)
    assert breaker.state == "closed"
    be_slow(breaker, clock)
    assert breaker.state == "open"


def test_after_its_time_a_few_probes_close_it(breaker, clock, states):
    half_open(breaker, clock)
    succeed(breaker, 2)
    assert breaker.state == "half_open"
    succeed(breaker)
    assert states == ["open", "half_open", "closed"]
    fail(breaker, 9)
    assert breaker.state == "closed", "what was before it opened does not count any more"


@pytest.mark.parametrize("bad", [fail, lambda breaker: be_slow(breaker, breaker.now)], ids=["failed", "slow"])
def test_one_bad_probe_opens_it_again(breaker, clock, bad):
    half_open(breaker, clock)
    succeed(breaker, 2)
    bad(breaker)
    assert breaker.state == "open"
    assert refused(breaker) == 5


async def test_five_hundred_that_come_at_once_find_exactly_three_places(breaker, clock):
    half_open(breaker, clock)
    entered, may_end = [], asyncio.Event()

    async def ask(number):
        with breaker.call() as call:
            entered.append(number)
            await may_end.wait()
            call.answered()

    asking = [asyncio.create_task(ask(number)) for number in range(500)]
    done, _ = await asyncio.wait(asking[3:])
    assert len(entered) == 3
    assert {type(task.exception()) for task in done} == {CircuitOpen}

    may_end.set()
    await asyncio.gather(*asking[:3])
    assert breaker.state == "closed"


async def test_a_cancelled_probe_gives_its_place_to_another_and_says_nothing(breaker, clock):
    half_open(breaker, clock)
    never = asyncio.Event()

    async def ask():
        with breaker.call():
            await never.wait()

    for _ in range(20):
        asking = [asyncio.create_task(ask()) for _ in range(3)]
        await asyncio.sleep(0)
        assert refused(breaker) == 1
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
    assert breaker.state == "half_open"
    succeed(breaker, 3)
    assert breaker.state == "closed"


def test_cancelled_calls_neither_open_it_nor_keep_it_closed(breaker):
    for _ in range(50):
        with pytest.raises(asyncio.CancelledError), breaker.call():
            raise asyncio.CancelledError
    fail(breaker, 9)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"


def test_an_outcome_that_comes_after_a_change_says_nothing_about_the_present(breaker, clock):
    late = [breaker.call() for _ in range(5)]
    half_open(breaker, clock)
    for call in late:
        with call:
            call.failed()
    assert breaker.state == "half_open"
    assert [breaker.call() for _ in range(3)]
    assert refused(breaker) == 1


@pytest.mark.parametrize(("asked_for", "waited"), [(2, 5), (30, 30), (86400, 60)])
def test_it_stays_open_as_long_as_the_target_asked_for_within_bounds(breaker, clock, asked_for, waited):
    fail(breaker, 1, asked_for=asked_for)
    fail(breaker, 9)
    assert refused(breaker) == waited
    clock.time += waited - 1
    assert breaker.state == "open"
    clock.time += 1
    assert breaker.state == "half_open"


def test_a_failed_probe_may_ask_for_time_too(breaker, clock):
    half_open(breaker, clock)
    fail(breaker, asked_for=40)
    assert refused(breaker) == 40


def test_by_hand_it_is_cut_off_until_it_is_reset(breaker, clock, states):
    breaker.isolate()
    breaker.isolate()
    clock.time += 10_000
    assert refused(breaker) == 5
    breaker.reset()
    succeed(breaker)
    assert states == ["isolated", "closed"]


def test_a_reset_forgets_the_failures_and_what_the_target_asked_for(breaker):
    fail(breaker, 9, asked_for=50)
    breaker.reset()
    fail(breaker, 9)
    assert breaker.state == "closed"
    fail(breaker)
    assert refused(breaker) == 5


Steps = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.none()),
        st.tuples(st.sampled_from(["answered", "failed", "cancelled"]), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.floats(0, 8)),
        st.tuples(st.sampled_from(["isolate", "reset"]), st.none()),
    ),
    max_size=120,
)  # fmt: skip


@given(Steps)
def test_whatever_happens_probes_are_bounded_and_every_change_is_a_legal_one(steps):
    clock, states = Moved(), ["closed"]
    breaker = Breaker("it", BreakerPolicy(window_s=10, minimum=3, open_s=5, probes=2), changed=states.append, now=clock)
    under_way: deque[tuple[Call, int]] = deque()
    for what, value in steps:
        if what == "call":
            try:
                call = breaker.call()
            except CircuitOpen:
                assert breaker.state != "closed"
            else:
                assert breaker.state in ("closed", "half_open")
                under_way.append((call, len(states)))
                since = sum(1 for _, began in under_way if began == len(states))
                assert breaker.state == "closed" or since <= 2
        elif what == "wait":
            clock.time += value
        elif what in ("isolate", "reset"):
            getattr(breaker, what)()
        elif under_way:
            under_way.rotate(-value)
            call, _ = under_way.popleft()
            with call:
                if what != "cancelled":
                    getattr(call, what)()
    legal = {
        ("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed"), ("open", "closed"),
        ("isolated", "closed"), ("closed", "isolated"), ("open", "isolated"), ("half_open", "isolated"),
    }  # fmt: skip
    assert set(pairwise(states)) <= legal


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from(["call", "failure", "slow"])), max_size=80), st.floats(0, 12))
def test_a_window_counts_what_happened_in_it_and_at_most_a_slice_less(happened, then):
    clock = Moved()
    window = Window(10, clock)
    times = []
    for pause, what in happened:
        clock.time += pause
        window.add(what)
        times.append((clock.time, what))
    clock.time += then
    for kind in ("call", "failure", "slow"):
        surely = sum(1 for time, what in times if what == kind and time > clock.time - 10 + 10 / SLICES)
        perhaps = sum(1 for time, what in times if what == kind and time > clock.time - 10)
        assert surely <= window.count(kind) <= perhaps
