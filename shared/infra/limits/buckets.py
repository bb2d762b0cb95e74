"""Token buckets in this process: what is taken fills up again evenly (GCRA, ITU-T I.371, with the burst of a whole quota)."""

from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import Final, NamedTuple

from shared.domain.limits import Allowance, Ask

MOST: Final = 50_000
"""Callers remembered at once; whoever was met first is forgotten first."""


class Level(NamedTuple):
    """`debts_us`: for each ask, how long until its bucket is full again. Nothing was taken unless `admitted`."""

    admitted: bool
    debts_us: Sequence[int]

    def allowance(self, asks: Sequence[Ask]) -> Allowance:
        found = [_allowance(ask, debt, self.admitted) for ask, debt in zip(asks, self.debts_us, strict=True)]
        return min(found, key=_scarcity) if len(found) > 1 else found[0]


def _allowance(ask: Ask, debt_us: int, admitted: bool) -> Allowance:
    quota = ask.quota
    missing_us = 0 if admitted else max(0, debt_us + quota.cost_us - quota.capacity_us)
    left = max(0, quota.capacity_us - debt_us) // quota.cost_us
    return Allowance(quota, left, _seconds(debt_us), _seconds(missing_us))


def _scarcity(allowance: Allowance) -> tuple[int, int]:
    return -allowance.wait_s, allowance.left


def _seconds(us: int) -> int:
    return -(-us // 1_000_000)


class _Bucket:
    """`kept` requests since `since_us` have not been told to the other processes."""

    __slots__ = ("full_us", "kept", "since_us")

    def __init__(self, now_us: int) -> None:
        self.full_us = now_us
        self.kept = 0
        self.since_us = now_us


class Buckets:
    def __init__(self, now_us: Callable[[], int] = lambda: monotonic_ns() // 1000, most: int = MOST) -> None:
        self._now_us = now_us
        self._most = most
        self._buckets: dict[Ask, _Bucket] = {}

    def take(self, asks: Sequence[Ask]) -> Level:
        now = self._now_us()
        found = [(self._bucket(ask, now), ask.quota) for ask in asks]
        debts = [max(bucket.full_us - now, 0) for bucket, _ in found]
        for debt, (_, quota) in zip(debts, found, strict=True):
            if debt + quota.cost_us > quota.capacity_us:
                return Level(False, debts)
        for index, (bucket, quota) in enumerate(found):
            debts[index] += quota.cost_us
            bucket.full_us = now + debts[index]
            if now - bucket.since_us > quota.capacity_us:
                bucket.kept, bucket.since_us = 0, now
            bucket.kept += 1
        return Level(True, debts)

    def reports(self, asks: Sequence[Ask]) -> list[Ask]:
        """Those of `asks` of which a whole share was taken here and told to nobody; from now on it counts as told."""
        due = [ask for ask in asks if self._buckets[ask].kept >= ask.quota.share]
        for ask in due:
            self._buckets[ask].kept = 0
        return due

    def learn(self, asks: Sequence[Ask], debts_us: Sequence[int]) -> None:
        """What all processes together have taken."""
        now = self._now_us()
        for ask, debt in zip(asks, debts_us, strict=True):
            bucket = self._bucket(ask, now)
            bucket.full_us = max(bucket.full_us, now + debt)

    def _bucket(self, ask: Ask, now: int) -> _Bucket:
        bucket = self._buckets.get(ask)
        if bucket is None:
            if len(self._buckets) >= self._most:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[ask] = _Bucket(now)
        return bucket
