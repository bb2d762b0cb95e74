"""What a run has found: a table for the terminal, and RESULTS.md."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Spread

RESULTS = Path(__file__).with_name("RESULTS.md")

HOW = """
Written by `make bench`. A ratio is what the application gets done with some CPU of its process, of what its bare peer gets done with
as much, in the same process and the same run: both take turns in many short windows; given are the median and the quartiles. Reads
go over HTTP, by uvicorn for both, from clients in another process; the rest is called in process. The application is composed as in
production, its log lines included, without traces. Postgres runs beside it, without fsync. On a machine that others use, ratios
stay and times do not: milliseconds of CPU grow with the load, too.
""".strip()


@dataclass(frozen=True)
class Row:
    """A figure, and what it should at least be, or at most with `most`."""

    name: str
    figure: Spread
    goal: float | None = None
    unit: str = ""
    most: bool = False

    def cells(self) -> tuple[str, str, str, str]:
        spread = f"{shown(self.figure.low)} to {shown(self.figure.high)}" if self.figure.low != self.figure.high else ""
        return self.name, f"{shown(self.figure.median)}{self.unit}", spread, self._goal()

    def _goal(self) -> str:
        if self.goal is None:
            return ""
        met = self.figure.median <= self.goal if self.most else self.figure.median >= self.goal
        return f"{'≤' if self.most else '≥'} {shown(self.goal)} {'✓' if met else '✗'}"


def shown(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def tell(rows: Sequence[Row], postgres: str, console: Console) -> None:
    table = Table("figure", "median", "quartiles", "goal")
    for row in rows:
        table.add_row(*row.cells())
    console.print(table)
    lines = ["| figure | median | quartiles | goal |", "|---|---|---|---|", *(f"| {' | '.join(row.cells())} |" for row in rows)]
    RESULTS.write_text("\n".join(["# Benchmarks", "", HOW, "", machine(postgres), "", *lines, ""]), encoding="utf-8")


def machine(postgres: str) -> str:
    cores, load = os.cpu_count(), os.getloadavg()[2]
    python = platform.python_version()
    when = datetime.now(UTC).date()
    return f"{when}, {cores} cores, load {load:.1f} ({sys.platform} {platform.machine()}), Python {python}, Postgres {postgres}."
