"""Everything that is measured, by the name that `--only` takes."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from benchmarks import commands, events, hot, overload, purchases, reads, stack, tasks, workers
from benchmarks.report import Row
from benchmarks.stage import Stage

SCENARIOS: Final[Mapping[str, Callable[[Stage], Awaitable[list[Row]]]]] = {
    "reads": reads.rows,
    "stack": stack.rows,
    "commands": commands.rows,
    "purchases": purchases.rows,
    "hot": hot.rows,
    "overload": overload.rows,
    "events": events.rows,
    "tasks": tasks.rows,
    "workers": workers.rows,
}
