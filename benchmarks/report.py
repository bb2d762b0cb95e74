"""What a run has found: a table for the terminal, RESULTS.md, and what has become worse since the last one."""

import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Spread

RESULTS = Path(__file__).with_name("RESULTS.md")
WORSE: Final = 0.10
"""A steady figure that has become worse by more than this share is shown as a regression."""

HOW = """
Written by `make bench`. A ratio is what the application gets done with some CPU of its process, of what its peer gets done with as much
CPU of its own. Both take turns in many short windows of the same run, and of each the quarter counts that was disturbed least (in process
a tenth): given are its median and quartiles. Ratios stay on a machine that others use, and times do not: milliseconds grow with the load.
Reads go over HTTP from clients in another process. The bare ASGI application runs beside ours in one process and sends the same SQL;
FastAPI and Fastify run in processes of their own, without any middleware. The application is composed as in production, its limits, log
lines and metrics included, and traced where a row says so. Beside pgbench and an ORM's unit of work it is measured by throughput. Postgres
runs beside it all, without fsync. Figures marked with • are steady: when one gets worse by more than 10 %, the next `make bench` says so.
""".strip()

_ROW: Final = re.compile(r"^\| (?P<name>.+?)(?: •)? \| (?P<median>[0-9.,]+)[^|]* \|", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """A figure, and what it should at least be, or at most with `most`. `note` says what there is to know, or why there is no figure.

    `steady` figures hardly depend on what else the machine does.
    """

    name: str
    figure: Spread | None
    goal: float | None = None
    unit: str = ""
    most: bool = False
    steady: bool = False
    note: str = ""

    def cells(self) -> tuple[str, str, str, str, str]:
        name = f"{self.name} •" if self.steady else self.name
        if self.figure is None:
            return name, "-", "", self._goal(), self.note
        spread = f"{shown(self.figure.low)} to {shown(self.figure.high)}" if self.figure.low != self.figure.high else ""
        return name, f"{shown(self.figure.median)}{self.unit}", spread, self._goal(), self.note

    def regression(self, before: float | None) -> str | None:
        """How much worse a steady figure has become, in words."""
        if not self.steady or self.figure is None or not before or not self.figure.median:
            return None
        now = self.figure.median
        worse = now / before - 1 if self.most else before / now - 1
        return f"{self.name}: was {shown(before)}, is {shown(now)}, {worse:.0%} worse" if worse > WORSE else None

    def _goal(self) -> str:
        if self.goal is None:
            return ""
        wanted = f"{'≤' if self.most else '≥'} {shown(self.goal)}"
        if self.figure is None:
            return wanted
        met = self.figure.median <= self.goal if self.most else self.figure.median >= self.goal
        return f"{wanted} {'✓' if met else '✗'}"


def shown(value: float) -> str:
    if value == int(value) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def medians(results: str) -> dict[str, float]:
    """Of the rows of an earlier RESULTS.md, by name."""
    return {row["name"]: float(row["median"].replace(",", "")) for row in _ROW.finditer(results)}


def show(rows: Sequence[Row], console: Console, before: Mapping[str, float]) -> None:
    table = Table("figure", "median", "quartiles", "goal", "")
    for row in rows:
        table.add_row(*row.cells())
    console.print(table)
    for row in rows:
        if worse := row.regression(before.get(row.name)):
            console.print(f"[bold red]regression[/] {worse}")


def write(rows: Sequence[Row], postgres: str) -> None:
    lines = ["| figure | median | quartiles | goal | |", "|---|---|---|---|---|", *(f"| {' | '.join(row.cells())} |" for row in rows)]
    RESULTS.write_text("\n".join(["# Benchmarks", "", HOW, "", machine(postgres), "", *lines, ""]), encoding="utf-8")


def machine(postgres: str) -> str:
    cores, load = os.cpu_count(), os.getloadavg()[2]
    python = platform.python_version()
    when = datetime.now(UTC).date()
    return f"{when}, {cores} cores, load {load:.1f} ({sys.platform} {platform.machine()}), Python {python}, Postgres {postgres}."
