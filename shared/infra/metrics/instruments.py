"""Counters, histograms and readings: plain numbers that the event loop writes and a scrape copies, without a lock."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal, TypeVar

Labels = tuple[str, ...]
Values = Mapping[Labels, float]

MOST_SERIES: Final = 1000
"""Of one metric; what comes after them is counted together, with `other` for every label."""

OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Spread:
    """How values are distributed: how many were at most each bound, the last of which is `+Inf`, and their sum."""

    up_to: Sequence[tuple[str, int]]
    sum: float


@dataclass(frozen=True, slots=True)
class Family:
    """One metric as of now: a point, or the spread of a histogram, for every combination of its labels' values."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels
    points: Sequence[tuple[Labels, float]] = ()
    spreads: Sequence[tuple[Labels, Spread]] = ()


class Counter:
    """Only ever grows. Its name ends in `_total`."""

    def __init__(self, name: str, help: str, *labels: str) -> None:
        self._name = name
        self._help = help
        self._labels = labels
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}

    def add(self, *labels: str, by: float = 1.0) -> None:
        values = self._values
        if labels in values:
            values[labels] += by
        else:
            labels = labels if len(values) < MOST_SERIES else (OTHER,) * len(labels)
            values[labels] = values.get(labels, 0.0) + by

    def family(self) -> Family:
        return Family(self._name, "counter", self._help, self._labels, list(self._values.items()))


class Histogram:
    """`bounds` are inclusive upper ones, rising; a last, infinite one is added."""

    def __init__(self, name: str, help: str, bounds: Sequence[float], *labels: str) -> None:
        self._name = name
        self._help = help
        self._bounds = tuple(bounds)
        self._names = (*(str(float(bound)) for bound in bounds), "+Inf")
        self._labels = labels
        self._series: dict[Labels, _Series] = {} if labels else {(): _Series(len(bounds))}

    def observe(self, value: float, *labels: str) -> None:
        series = self._series.get(labels) or self._begin(labels)
        series.counts[bisect_left(self._bounds, value)] += 1
        series.sum += value

    def family(self) -> Family:
        spreads = [(labels, self._spread(series)) for labels, series in self._series.items()]
        return Family(self._name, "histogram", self._help, self._labels, spreads=spreads)

    def _begin(self, labels: Labels) -> "_Series":
        if len(self._series) >= MOST_SERIES:
            labels = (OTHER,) * len(labels)
        return self._series.setdefault(labels, _Series(len(self._bounds)))

    def _spread(self, series: "_Series") -> Spread:
        return Spread(list(zip(self._names, accumulate(series.counts), strict=True)), series.sum)


class _Series:
    __slots__ = ("counts", "sum")

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.sum = 0.0


class Reading:
    """What somebody else counts or has, asked when it is scraped. `read` must neither wait nor raise."""

    def __init__(self, kind: Literal["counter", "gauge"], name: str, help: str, read: Callable[[], Values], *labels: str) -> None:
        self._kind = kind
        self._name = name
        self._help = help
        self._read = read
        self._labels = labels

    def family(self) -> Family:
        return Family(self._name, self._kind, self._help, self._labels, list(self._read().items()))


T = TypeVar("T", bound=Counter | Histogram | Reading)


class Metrics:
    """The instruments of one process, each under a name of its own."""

    def __init__(self) -> None:
        self._instruments: dict[str, Counter | Histogram | Reading] = {}

    def counter(self, name: str, help: str, *labels: str) -> Counter:
        return self._keep(name, Counter(name, help, *labels))

    def histogram(self, name: str, help: str, bounds: Sequence[float], *labels: str) -> Histogram:
        return self._keep(name, Histogram(name, help, bounds, *labels))

    def reading(self, kind: Literal["counter", "gauge"], name: str, help: str, read: Callable[[], Values], *labels: str) -> None:
        self._keep(name, Reading(kind, name, help, read, *labels))

    def families(self) -> Iterable[Family]:
        return [instrument.family() for instrument in self._instruments.values()]

    def _keep(self, name: str, instrument: T) -> T:
        if name in self._instruments:
            raise ValueError(f"two metrics are called {name}")
        self._instruments[name] = instrument
        return instrument
