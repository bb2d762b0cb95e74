"""Crash points: run a scenario again and again in a process of its own, killed with SIGKILL before and after everything that it does.

A scenario is a coroutine function `scenario(points, arguments)`. It passes a point whenever something happens that others can
see: `watched(points)` makes the statements and commits of its database connections points, `points.around(what, call)` a call
to a neighbour. Its file ends with `serve(scenario)`; a test drives it with `Explorer`. Points are passed in, never looked up.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

R = TypeVar("R")

ROOT = Path(__file__).resolve().parents[2]
KILLED = -signal.SIGKILL


@dataclass
class Points:
    """Everything that was passed, in order. At the point number `deadly` the process ends, or stops if `freeze`."""

    deadly: int | None = None
    freeze: bool = False
    passed: list[str] = field(default_factory=list)

    def reach(self, what: str) -> None:
        self.passed.append(what)
        if len(self.passed) - 1 == self.deadly:
            os.kill(os.getpid(), signal.SIGSTOP if self.freeze else signal.SIGKILL)

    async def around(self, what: str, call: Callable[[], Awaitable[R]]) -> R:
        self.reach(f"before {what}")
        answer = await call()
        self.reach(f"after {what}")
        return answer


def watched(points: Points) -> type[asyncpg.Connection[Any]]:
    """A `connection_class` for asyncpg.connect: each statement, BEGIN and COMMIT is a point before it and one after."""

    class Watched(asyncpg.Connection):
        async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
            return await points.around(_short(query), lambda: super(Watched, self).execute(query, *args, timeout=timeout))

        async def fetch(self, query: str, *args: Any, **options: Any) -> list[Any]:
            return await points.around(_short(query), lambda: super(Watched, self).fetch(query, *args, **options))

        async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
            return await points.around(_short(query), lambda: super(Watched, self).fetchrow(query, *args, **options))

        async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
            return await points.around(_short(query), lambda: super(Watched, self).fetchval(query, *args, **options))

    return Watched


def _short(query: str) -> str:
    return " ".join(query.split())[:60]


Scenario = Callable[[Points, Mapping[str, Any]], Awaitable[None]]


def serve(scenario: Scenario) -> None:
    """The main program of a scenario's process: one order per line, each carried out in a fork, so that imports are paid once."""
    for line in sys.stdin:
        order = json.loads(line)
        child = order.get("wake") or os.fork()
        if child == 0:
            os._exit(_carry_out(scenario, order))
        if "wake" in order:
            os.kill(child, signal.SIGCONT)
        print(json.dumps({"pid": child, "status": _wait(child)}), flush=True)  # noqa: T201 - the answer to the order


def _wait(child: int) -> int | None:
    """How the child ended; None when it has stopped, as ordered, and waits to be woken."""
    _, status = os.waitpid(child, os.WUNTRACED)
    return None if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)


def _carry_out(scenario: Scenario, order: Mapping[str, Any]) -> int:
    os.dup2(2, 1)  # answers alone go to the standard output
    points = Points(order["deadly"], order["freeze"])

    async def run() -> None:
        await scenario(points, order["arguments"])

    try:
        asyncio.run(run())
        Path(order["report"]).write_text(json.dumps(points.passed))
    except BaseException:  # noqa: BLE001 - a fork must never return into its parent's code
        traceback.print_exc()
        return 1
    return 0


class Explorer:
    """Drives the process of one scenario, started as `python -m <module>`."""

    def __init__(self, module: str, directory: Path) -> None:
        self._report = directory / "points.json"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def record(self, arguments: Mapping[str, Any]) -> list[str]:
        """Run the scenario to its end; answers the points that it passed."""
        status = self._start(arguments, None, freeze=False)["status"]
        if status != 0:
            raise AssertionError(f"the scenario failed by itself, with status {status}")
        passed: list[str] = json.loads(self._report.read_text())
        return passed

    def kill_at(self, point: int, arguments: Mapping[str, Any]) -> bool:
        """Run until `point` and kill there; False when the scenario ended before it."""
        status = self._start(arguments, point, freeze=False)["status"]
        if status not in (0, KILLED):
            raise AssertionError(f"the scenario failed by itself, with status {status}")
        return bool(status == KILLED)

    def freeze_at(self, point: int, arguments: Mapping[str, Any]) -> int:
        """Run until `point` and stop there; answers the process to wake with `wake`."""
        answer = self._start(arguments, point, freeze=True)
        if answer["status"] is not None:
            raise AssertionError("the scenario ended before it came to that point")
        return int(answer["pid"])

    def wake(self, pid: int) -> None:
        """Let a frozen process go on, to its end."""
        status = self._order({"wake": pid})["status"]
        if status != 0:
            raise AssertionError(f"the process that was woken ended with status {status}")

    def every_point(self, arguments: Callable[[int], Mapping[str, Any]]) -> Iterator[int]:
        """Record once, then kill at each point in turn and yield its number, for the caller to settle and check.

        `arguments(n)` makes a run of its own: -1 is the recording.
        """
        for point in range(len(self.record(arguments(-1)))):
            if self.kill_at(point, arguments(point)):
                yield point

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _start(self, arguments: Mapping[str, Any], point: int | None, *, freeze: bool) -> dict[str, Any]:
        return self._order({"arguments": arguments, "deadly": point, "freeze": freeze, "report": str(self._report)})

    def _order(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer
