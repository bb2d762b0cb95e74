"""Counting on a real server: exactly over processes, by shares, and alone where Redis is away."""

import asyncio
import json
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass
from subprocess import Popen

import pytest
from redis.asyncio import Redis

from shared.domain.limits import Ask, Quota, RateLimits
from tests.chassis.limits.conftest import Process
from tests.chassis.limits.wire import Wire
from tests.chassis.waiting import until
from tests.support import processes

FIFTY = Quota("fifty", 50, 36_000)
"""So slowly does it come back that nothing does during a test."""

LOOSE = Quota("loose", 200, 36_000, exact=False)
LONG_S = 30.0
"""A patience that no hiccup of a busy machine uses up, for tests in which Redis answers."""

CROWD = """
import asyncio, json, sys
from shared.domain.limits import Ask, Quota
from shared.infra.limits.limits import Limits
from tests.chassis.limits.wire import connected

async def main(url, caller, quota, number):
    limits, ask = Limits(connected(url), patience_s=30.0), Ask(Quota(*quota), caller)
    await limits.take([Ask(Quota("warm", 10, 60), caller)])
    print("ready", flush=True)
    sys.stdin.readline()
    print(sum([not found.wait_s for found in await asyncio.gather(*(limits.take([ask]) for _ in range(number)))]), flush=True)

asyncio.run(main(*json.loads(sys.argv[1])))
"""


def crowd(url: str, caller: str, quota: Quota, number: int) -> "Popen[str]":
    fields = [quota.name, quota.amount, quota.window_s, quota.exact]
    return processes.python(CROWD, json.dumps([url, caller, fields, number]))


def rushed(*crowds: "Popen[str]") -> list[int]:
    """How many each has got through, after all have begun at once."""
    for each in crowds:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n", each.communicate()[0]
    for each in crowds:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    return [int(each.communicate(timeout=60)[0]) for each in crowds]


async def admitted(limits: RateLimits, *asks: Ask, times: int) -> int:
    return sum([not each.wait_s for each in await asyncio.gather(*(limits.take(asks) for _ in range(times)))])


def test_two_processes_at_once_let_exactly_a_quota_through(valkey_url: str, caller: str):
    found = rushed(*(crowd(valkey_url, caller, FIFTY, 200) for _ in range(2)))
    assert sum(found) == 50
    assert sum(rushed(crowd(valkey_url, caller, FIFTY, 20))) == 0


def test_what_is_counted_by_shares_exceeds_its_quota_by_a_share_of_each_process_at_most(valkey_url: str, caller: str):
    found = rushed(*(crowd(valkey_url, caller, LOOSE, 1000) for _ in range(2)))
    assert 200 <= sum(found) <= 200 + 2 * LOOSE.share
    assert max(found) < 200 + LOOSE.share


async def test_taking_turns_in_two_processes_finds_the_quota_exact_and_tells_what_is_left(process: Process, caller: str):
    one, other = process(patience_s=LONG_S), process(patience_s=LONG_S)
    five = Ask(Quota("five", 5, 3600), caller)
    told = [await limits.take([five]) for limits in (one, other, one, other, one, other, one)]
    assert [each.left for each in told] == [4, 3, 2, 1, 0, 0, 0]
    assert [each.wait_s > 0 for each in told] == [False] * 5 + [True] * 2
    assert all(715 <= each.wait_s <= 720 for each in told[5:])


async def test_many_at_once_share_a_round_trip(process: Process, wire: Wire, caller: str):
    limits = process(wire.url, patience_s=LONG_S)
    await limits.take([Ask(FIFTY, caller)])
    before = wire.trips
    assert await admitted(limits, Ask(FIFTY, caller), times=200) == 49
    assert wire.trips - before <= 4


async def test_what_is_counted_by_shares_costs_a_round_trip_for_each_share_only(process: Process, wire: Wire, caller: str):
    limits = process(wire.url, patience_s=LONG_S)
    for _ in range(LOOSE.share - 1):
        await limits.take([Ask(LOOSE, caller)])
    assert wire.trips == 0
    await limits.take([Ask(LOOSE, caller)])
    assert wire.trips > 0


async def test_of_several_quotas_all_are_taken_or_none(process: Process, caller: str):
    limits = process(patience_s=LONG_S)
    narrow, wide = Ask(Quota("narrow", 3, 36_000), caller), Ask(FIFTY, caller)
    assert await admitted(limits, narrow, wide, times=20) == 3
    assert await admitted(limits, wide, times=100) == 47


async def test_a_server_that_has_forgotten_the_script_is_told_it_again(process: Process, valkey_url: str, caller: str):
    limits = process(patience_s=LONG_S)
    admin = Redis.from_url(valkey_url)
    assert await admitted(limits, Ask(FIFTY, caller), times=10) == 10
    await admin.script_flush()
    assert await admitted(limits, Ask(FIFTY, caller), times=100) == 40
    await admin.aclose()


async def test_what_is_kept_in_redis_goes_by_itself(process: Process, valkey_url: str, caller: str):
    await process(patience_s=LONG_S).take([Ask(Quota("brief", 10, 60), caller)])
    admin = Redis.from_url(valkey_url)
    assert 0 < await admin.pttl(f"tenon:rate:brief:{caller}") <= 6000
    await admin.aclose()


async def test_who_gives_up_while_waiting_disturbs_nobody(process: Process, wire: Wire, caller: str):
    """The third request waits for what the second tells of its share, and is cancelled."""
    limits, ask = process(wire.url, patience_s=LONG_S), Ask(Quota("loose", 40, 36_000, exact=False), caller)
    await limits.take([ask])
    wire.state = "silent"
    telling, waiting, other = (asyncio.create_task(limits.take([ask])) for _ in range(3))
    await until(lambda: asyncio.sleep(0, wire.trips > 0))
    waiting.cancel()
    wire.cut()
    assert not (await telling).wait_s
    assert (await other).left == 37
    assert waiting.cancelled()


async def test_what_was_taken_comes_back_by_the_clock_of_the_server(process: Process, caller: str):
    limits, brief = process(patience_s=LONG_S), Ask(Quota("brief", 2, 1), caller)
    await admitted(limits, brief, times=20)

    async def back() -> bool:
        return not (await limits.take([brief])).wait_s

    await until(back)


async def test_without_redis_each_process_lets_a_quota_through_and_no_more(process: Process, caller: str):
    nowhere = "redis://127.0.0.1:1/0"
    for limits in (process(nowhere), process(nowhere)):
        assert await admitted(limits, Ask(FIFTY, caller), times=200) == 50


async def test_what_was_taken_together_still_counts_when_redis_is_gone(process: Process, wire: Wire, caller: str):
    limits, other = process(wire.url, patience_s=LONG_S), process(patience_s=LONG_S)
    assert await admitted(other, Ask(FIFTY, caller), times=30) == 30
    assert await admitted(limits, Ask(FIFTY, caller), times=10) == 10
    wire.cut()
    assert await admitted(limits, Ask(FIFTY, caller), times=200) == 10


@dataclass
class Clock:
    s: float = 0.0

    def __call__(self) -> float:
        return self.s


@pytest.mark.parametrize("quota", [FIFTY, Quota("loose", 20, 36_000, exact=False)])
async def test_a_redis_that_hangs_is_waited_for_once(process: Process, wire: Wire, caller: str, quota: Quota):
    clock = Clock()
    wire.state = "silent"
    limits = process(wire.url, patience_s=0.05, now=clock)
    assert not (await limits.take([Ask(quota, caller)])).wait_s
    sent = wire.trips
    assert sent > 0
    let_through = [done(limits.take([Ask(quota, caller)])) for _ in range(100)]
    assert sum(let_through) == quota.amount - 1
    assert wire.trips == sent


def done(taking: Awaitable[object]) -> bool:
    """Whether it lets through, told at once: a coroutine that would wait for anything fails here."""
    try:
        taking.__await__().send(None)
    except StopIteration as answer:
        return not answer.value.wait_s
    raise AssertionError("it waits for somebody")


async def test_when_redis_is_back_the_requests_are_counted_together_again(process: Process, wire: Wire, caller: str):
    clock = Clock()
    limits, other = process(wire.url, patience_s=LONG_S, now=clock), process(patience_s=LONG_S)
    wire.cut()
    assert await admitted(limits, Ask(FIFTY, caller), times=5) == 5
    assert await admitted(other, Ask(FIFTY, caller), times=45) == 45
    wire.state = "whole"
    assert await admitted(limits, Ask(FIFTY, caller), times=5) == 5
    clock.s += 10.0

    async def together() -> bool:
        ask = Ask(FIFTY, f"user:usr_{secrets.token_hex(8)}")
        await limits.take([ask])
        return (await other.take([ask])).left == 48

    await until(together)
    assert await admitted(limits, Ask(FIFTY, caller), times=200) == 5
    assert await admitted(other, Ask(FIFTY, caller), times=200) == 0
