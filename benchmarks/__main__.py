"""`python -m benchmarks`: measures, prints the table, and writes RESULTS.md when everything was measured."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from time import monotonic

import click
import uvloop
from rich.console import Console

from benchmarks import report
from benchmarks.scenarios import SCENARIOS
from benchmarks.stage import Stage, stage
from shared.infra.telemetry import configure_logging


@click.command()
@click.option("--only", help=f"Some of {', '.join(SCENARIOS)}, with commas between them.")
@click.option("--quick", is_flag=True, help="One window for each figure: shows that all of it works, and measures nothing.")
def main(only: str | None, quick: bool) -> None:
    """Measure what the application costs beside its peers."""
    names = only.split(",") if only else list(SCENARIOS)
    if unknown := sorted(set(names) - set(SCENARIOS)):
        raise click.BadParameter(f"there is no {', '.join(unknown)}", param_hint="--only")
    terminal = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160)
    before = report.medians(report.RESULTS.read_text(encoding="utf-8")) if report.RESULTS.exists() else {}
    with Path("/dev/null").open("w") as nowhere, redirect_stdout(nowhere):  # the log lines are written, and read by nobody
        configure_logging("json", "info")
        rows, postgres = uvloop.run(measured(names, quick, terminal))
    report.show(rows, terminal, {} if quick else before)
    if not only and not quick:
        report.write(rows, postgres)


async def measured(names: Sequence[str], quick: bool, terminal: Console) -> tuple[list[report.Row], str]:
    rows: list[report.Row] = []
    async with stage(quick=quick) as staged:
        for name in names:
            began = monotonic()
            rows += await SCENARIOS[name](staged)
            terminal.print(f"{name}: {monotonic() - began:.0f} s", style="dim")
        return rows, await postgres_of(staged)


async def postgres_of(staged: Stage) -> str:
    """The server's version."""
    async with staged.bare("catalog", 1) as bare:
        return str(await bare.only.fetchval("show server_version"))


if __name__ == "__main__":
    main()
