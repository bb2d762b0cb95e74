"""Figures of the business: events that a module counts. Declared in `modules/<name>/infra/figures.py`."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.events import Event
from shared.infra.db.database import Database
from shared.infra.db.unit_of_work import Recorded
from shared.infra.metrics.instruments import Counter, Metrics


@dataclass(frozen=True, slots=True)
class Figure:
    """How many `event`s were committed, as `tenon_<name>_total`. `by` names a field of the event that has few values."""

    name: str
    help: str
    event: type[Event]
    by: str | None = None


def count_figures(metrics: Metrics, database: Database, figures: Sequence[Figure]) -> None:
    """Count what a module's transactions in this process commit: each event once, in the process that did it."""
    if figures:
        database.on_commit(_Counting([(figure, _counter(metrics, figure)) for figure in figures]))


class _Counting:
    def __init__(self, figures: Sequence[tuple[Figure, Counter]]) -> None:
        self._figures = {event: [each for each in figures if each[0].event is event] for event in {figure.event for figure, _ in figures}}

    def __call__(self, recorded: Recorded) -> None:
        for new in recorded.events:
            for figure, counter in self._figures.get(type(new.event), ()):
                counter.add(*_labels(figure, new.event))


def _counter(metrics: Metrics, figure: Figure) -> Counter:
    return metrics.counter(f"tenon_{figure.name}_total", figure.help, *([figure.by] if figure.by else []))


def _labels(figure: Figure, event: Event) -> tuple[str, ...]:
    return (str(getattr(event, figure.by)),) if figure.by else ()
