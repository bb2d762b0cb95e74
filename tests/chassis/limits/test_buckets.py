"""The rule of a bucket, on a clock of the test's own."""

from dataclasses import dataclass

import pytest

from shared.domain.limits import QUOTAS, Ask, Quota
from shared.infra.limits.buckets import Buckets

TEN = Quota("ten", 10, 60)
SECOND = 1_000_000


@dataclass
class Clock:
    us: int = 0

    def __call__(self) -> int:
        return self.us


def takes(buckets: Buckets, *asks: Ask, times: int = 1) -> int:
    """How often all of `asks` were let through."""
    return sum(buckets.take(asks).admitted for _ in range(times))


def test_a_whole_quota_may_be_taken_at_once_and_comes_back_evenly():
    clock, ask = Clock(), Ask(TEN, "ada")
    buckets = Buckets(clock)
    assert takes(buckets, ask, times=50) == 10
    clock.us += 5 * SECOND
    assert takes(buckets, ask) == 0
    clock.us += 1 * SECOND
    assert takes(buckets, ask, times=5) == 1
    clock.us += 600 * SECOND
    assert takes(buckets, ask, times=50) == 10


def test_it_is_said_what_is_left_and_how_long_to_wait():
    clock, ask = Clock(), Ask(TEN, "ada")
    buckets = Buckets(clock)
    told = [buckets.take([ask]).allowance([ask]) for _ in range(11)]
    assert [each.left for each in told] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]
    assert [each.full_in_s for each in told] == [6, 12, 18, 24, 30, 36, 42, 48, 54, 60, 60]
    assert [each.wait_s for each in told] == [0] * 10 + [6]
    clock.us += 5 * SECOND + 1
    assert buckets.take([ask]).allowance([ask]).wait_s == 1


def test_callers_and_quotas_do_not_share():
    buckets = Buckets(Clock())
    assert takes(buckets, Ask(TEN, "ada"), times=20) == 10
    assert takes(buckets, Ask(TEN, "bob"), times=20) == 10
    assert takes(buckets, Ask(Quota("other", 3, 60), "ada"), times=20) == 3


def test_of_several_quotas_all_are_taken_or_none():
    buckets = Buckets(Clock())
    own, of_all = Ask(Quota("own", 3, 60), "cart"), Ask(TEN, "address")
    assert takes(buckets, own, of_all, times=20) == 3
    assert takes(buckets, of_all, times=20) == 7
    refused = buckets.take([own, of_all]).allowance([own, of_all])
    assert (refused.quota, refused.wait_s) == (own.quota, 20)


@pytest.mark.parametrize("quota", [*QUOTAS.values(), Quota("odd", 7, 60), TEN.times(0.01), TEN.times(1000), TEN.times(1e6)])
def test_a_quota_is_what_it_says_whatever_its_numbers(quota: Quota):
    ask = Ask(quota, "ada")
    assert takes(Buckets(Clock()), ask, times=min(quota.amount, 2000) + 5) == min(quota.amount, 2005)
    assert quota.window_s * SECOND <= quota.capacity_us < quota.window_s * SECOND + quota.amount


def test_only_so_many_callers_are_remembered():
    buckets = Buckets(Clock(), most=2)
    one = Quota("one", 1, 60)
    assert [takes(buckets, Ask(one, name)) for name in ("ada", "bob", "bob", "ada")] == [1, 1, 0, 0]
    assert [takes(buckets, Ask(one, name)) for name in ("eve", "bob", "ada")] == [1, 0, 1]


def test_a_share_is_told_once_and_forgotten_when_it_took_too_long():
    clock = Clock()
    buckets, ask = Buckets(clock), Ask(Quota("loose", 40, 60, exact=False), "ada")
    told = [buckets.take([ask]).admitted and buckets.reports([ask]) for _ in range(4)]
    assert told == [[], [ask], [], [ask]]
    assert takes(buckets, ask) == 1
    clock.us += 61 * SECOND
    assert takes(buckets, ask) == 1
    assert buckets.reports([ask]) == []
