"""Where work is begun beside the work that begins it: each place, with the reason why nothing of it is ever lost unseen."""

import ast
from collections.abc import Iterator
from typing import Final

BEGINS: Final = {"create_task", "ensure_future", "run_coroutine_threadsafe", "TaskGroup"}

PLACES: Final = {
    "shared/infra/supervisor.py::Supervisor.run": "the loops: a crash is logged, counted and followed by a restart",
    "shared/infra/supervisor.py::supervised": "a group: the supervisor ends with the block, and an error of its own ends the process",
    "shared/infra/supervisor.py::idle": "waits for events, which do not fail, and is cancelled on leaving",
    "shared/infra/saga/worker.py::Recovery.run": "kept by the loop, which logs what breaks, and waits for all in `finish`",
    "shared/infra/saga/engine.py::SagaEngine.recover": "a group: its errors are raised where it ends",
    "shared/infra/tasks/worker.py::Bench.run": "kept by the loop, which logs what breaks, and waits for all in `finish`",
    "shared/infra/tasks/worker.py::Bench.drain": "ends with the tests that drain; what a task raises is kept with it",
    "shared/infra/tasks/job.py::Run.compute": "both are waited for on leaving, whatever happens",
    "shared/infra/db/commit.py::undisturbed": "waited for however often it is cancelled; its error is raised",
    "shared/infra/db/loader.py::Loader._send": "kept by the loader; its error is raised by all who wait for an answer",
    "shared/infra/cache/flights.py::Flights.join": "kept by the flights; its error is raised by all on board",
    "shared/infra/limits/counted.py::CountedBuckets._begin": "kept by the buckets; its error is raised by all who wait for an answer",
    "shared/infra/limits/limits.py::Limits._answered": "kept by the limits; catches everything, and tries again",
    "shared/infra/metrics/exposition.py::Exposition.run.connected": "of the group around it; logs what breaks, and has a time limit",
    "shared/infra/metrics/exposition.py::Exposition.run": "a group: its errors are raised where it ends, in a supervised loop",
    "shared/infra/tracing.py::exporting": "waited for on leaving",
    "shared/api/health.py::HealthService.readiness": "a probe that raises is one that fails: none goes on alone",
    "entrypoints/development/demo.py::race": "a group: its errors are raised where it ends",
    "benchmarks/events.py::writing": "a group: its errors are raised where it ends",
    "benchmarks/http.py::served": "a group: its errors are raised where it ends",
    "benchmarks/logs.py::steadily": "a group: its errors are raised where it ends",
    "benchmarks/measure.py::each": "a group: its errors are raised where it ends",
    "benchmarks/overload.py::arriving": "a group: its errors are raised where it ends",
    "benchmarks/stage.py::Stage.bare": "connections that are opened: an error ends the program",
    "benchmarks/workers.py::cost": "an error ends the program",
}


def begun(tree: ast.AST, within: tuple[str, ...] = ()) -> Iterator[tuple[int, str]]:
    """The line of everything in `tree` that can begin an asyncio task, by whatever name it goes, and the function around it.

    `gather` is one of them where it does not answer with the exceptions: at the first one it leaves the others alone.
    """
    for node in ast.iter_child_nodes(tree):
        inside = (*within, node.name) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else within
        if isinstance(node, ast.expr | ast.alias) and _begins(node):
            yield node.lineno, ".".join(inside)
        yield from begun(node, inside)


def _begins(node: ast.expr | ast.alias) -> bool:
    if isinstance(node, ast.alias):
        return node.name in BEGINS
    if isinstance(node, ast.Attribute):
        return node.attr in BEGINS
    if not isinstance(node, ast.Call):
        return isinstance(node, ast.Name) and node.id in BEGINS
    called = ast.unparse(node.func)
    seen = any(keyword.arg == "return_exceptions" for keyword in node.keywords)
    return called in {"asyncio.Task", "Task"} or (called.rpartition(".")[2] == "gather" and not seen)
