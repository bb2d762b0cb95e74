"""`python -m benchmarks`: measures, prints the table, and writes RESULTS.md."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

import uvloop
from rich.console import Console

from benchmarks import commands, purchases, reads
from benchmarks.report import tell
from benchmarks.stage import stage
from shared.infra.telemetry import configure_logging


async def main(console: Console) -> None:
    async with stage() as staged:
        rows = [row for part in (reads, commands, purchases) for row in await part.rows(staged)]
        tell(rows, staged.server, console)


if __name__ == "__main__":
    terminal = Console(file=sys.stdout)
    with Path("/dev/null").open("w") as nowhere, redirect_stdout(nowhere):  # the log lines are written, and read by nobody
        configure_logging("json", "info")
        uvloop.run(main(terminal))
