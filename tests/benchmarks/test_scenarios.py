"""The benchmarks work: everything that is measured is carried out once, and what a run shows of it is right."""

import pytest

from benchmarks.measure import Spread
from benchmarks.report import Row, medians
from benchmarks.scenarios import SCENARIOS
from benchmarks.stage import staged
from shared.infra.config import Settings
from tests.support.application import environment_of

STARTS_PROCESSES = {"workers"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.soak if name in STARTS_PROCESSES else ()) for name in SCENARIOS])
async def test_a_scenario_runs_and_each_of_its_rows_has_a_figure_or_says_why_not(name: str, settings: Settings):
    async with staged(environment_of(settings), quick=True) as stage:
        rows = await SCENARIOS[name](stage)
    assert rows
    assert [row.name for row in rows if row.figure is None and not row.note] == []


def test_a_row_is_read_again_as_it_was_written():
    rows = [
        Row("reads", Spread(0.65, 0.6, 0.7), goal=0.7, steady=True),
        Row("held", Spread.exactly(1234), unit=" MiB"),
        Row("absent", None),
    ]
    written = "\n".join(f"| {' | '.join(row.cells())} |" for row in rows)
    assert medians(written) == {"reads": 0.65, "held": 1234.0}


@pytest.mark.parametrize(
    ("most", "before", "told"), [(False, 0.75, True), (False, 0.70, False), (True, 0.55, True), (True, 0.62, False), (False, None, False)]
)
def test_a_steady_figure_that_became_worse_by_more_than_a_tenth_is_told(most: bool, before: float | None, told: bool):
    row = Row("reads", Spread.exactly(0.65), most=most, steady=True)
    assert (row.regression(before) is not None) is told


def test_a_figure_that_depends_on_the_machine_is_never_a_regression():
    assert Row("orders a second", Spread.exactly(100)).regression(1000) is None
