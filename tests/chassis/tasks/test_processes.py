"""Computing in other processes: bounded, without keeping the loop waiting, killed and replaced when something goes wrong."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.domain.context import Context, Principal, begin
from shared.domain.jobs import Job, Progress, Steps
from shared.infra.db.transact import Transact
from shared.infra.events.wakeup import Wakeup
from shared.infra.supervisor import supervised
from shared.infra.tasks.jobs import JobDesk
from shared.infra.tasks.kind import JobKind
from shared.infra.tasks.processes import ComputationFailed, ProcessDied, Processes
from shared.infra.tasks.worker import TaskWorker
from tests.chassis.conftest import Two
from tests.chassis.tasks import computing
from tests.chassis.two_modules import Keeping, keeper
from tests.chassis.waiting import until

LONG = 60.0
SHORT = 0.3


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    processes = Processes(2)
    yield processes
    await processes.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def written(mark: Path) -> int:
    """The process that has said so in `mark`."""

    async def look() -> int:
        return int(mark.read_text() or "0") if mark.exists() else 0

    return await until(look)


async def test_a_function_is_computed_elsewhere_and_its_process_is_used_again(processes: Processes):
    assert await processes.run(computing.square, 7, timeout_s=LONG) == 49
    first, environment, niceness = await processes.run(computing.whoami, None, timeout_s=LONG)
    second, *_ = await processes.run(computing.whoami, None, timeout_s=LONG)
    assert first == second != os.getpid()
    assert [name for name in environment if name.startswith("TENON") or "SECRET" in name] == []
    assert niceness >= min(19, os.nice(0) + 5)
    assert await processes.run(computing.loaded, None, timeout_s=LONG) == [], "it is light: it imports what its functions need"


async def test_what_it_prints_is_no_answer_and_large_things_go_both_ways(processes: Processes):
    assert await processes.run(computing.chatty, 3, timeout_s=LONG) == 3
    assert len(await processes.run(computing.large, 5_000_000, timeout_s=LONG)) == 5_000_000
    assert await processes.run(len, b"x" * 5_000_000, timeout_s=LONG) == 5_000_000


async def test_no_more_compute_at_a_time_than_there_are_places(processes: Processes, tmp_path: Path):
    seen = await asyncio.gather(*(processes.run(computing.together, str(tmp_path), timeout_s=LONG) for _ in range(8)))
    assert max(seen) <= 2


async def test_the_loop_goes_on_while_something_computes(processes: Processes, tmp_path: Path):
    computation = asyncio.create_task(processes.run(computing.for_ever, str(tmp_path / "pid"), timeout_s=LONG))
    pid = await written(tmp_path / "pid")  # looked for by this very loop
    assert not computation.done()
    computation.cancel()
    await asyncio.gather(computation, return_exceptions=True)
    assert not alive(pid)


async def test_an_error_is_told_by_its_type_and_costs_no_process(processes: Processes):
    pid, *_ = await processes.run(computing.whoami, None, timeout_s=LONG)
    with pytest.raises(ComputationFailed) as failed:
        await processes.run(computing.fail, "sesame", timeout_s=LONG)
    assert str(failed.value) == "ValueError in builtins"
    again, *_ = await processes.run(computing.whoami, None, timeout_s=LONG)
    assert again == pid


async def test_a_crash_is_told_and_the_process_replaced(processes: Processes):
    pid, *_ = await processes.run(computing.whoami, None, timeout_s=LONG)
    with pytest.raises(ProcessDied):
        await processes.run(computing.die, None, timeout_s=LONG)
    other, *_ = await processes.run(computing.whoami, None, timeout_s=LONG)
    assert other != pid
    assert not alive(pid)


async def test_a_process_that_ended_of_age_is_not_the_computation_s_fault(processes: Processes, tmp_path: Path):
    await processes.run(computing.square, 1, timeout_s=LONG)
    assert await processes.run(computing.die_once, str(tmp_path / "mark"), timeout_s=LONG) == "done"


async def test_what_takes_too_long_is_killed_and_its_place_is_free_again(processes: Processes, tmp_path: Path):
    await asyncio.gather(*(processes.run(computing.square, number, timeout_s=LONG) for number in range(2)))
    marks = [tmp_path / f"{number}" for number in range(2)]
    answers = await asyncio.gather(*(processes.run(computing.deaf, str(mark), timeout_s=SHORT) for mark in marks), return_exceptions=True)
    assert [type(answer) for answer in answers] == [TimeoutError, TimeoutError]
    assert [mark for mark in marks if mark.exists() and alive(int(mark.read_text()))] == []
    assert await processes.run(computing.square, 3, timeout_s=LONG) == 9


ORPHAN = """
import asyncio, sys
from shared.infra.tasks.processes import Processes
from tests.chassis.tasks import computing
asyncio.run(Processes(1).run(getattr(computing, sys.argv[2]), sys.argv[1], timeout_s=60))
"""


@pytest.mark.parametrize("busy", ["for_ever", "deaf"])
async def test_a_process_does_not_outlive_the_one_that_asks(tmp_path: Path, busy: str):
    mark = tmp_path / "pid"
    asking = subprocess.Popen([sys.executable, "-c", ORPHAN, str(mark), busy], cwd=Path(__file__).parents[3])
    pid = await written(mark)
    asking.kill()
    asking.wait()

    async def gone() -> bool:
        return not alive(pid)

    await until(gone)


class Sum(msgspec.Struct, frozen=True):
    """Of the squares of so many numbers; `mark` is where one that never ends says that it has begun."""

    numbers: int
    mark: str = ""


class Part(Progress, frozen=True):
    total_so_far: int = 0


async def squares(payload: Sum, steps: Steps[Keeping, Part]) -> None:
    """Reads nothing, computes elsewhere, stores in steps."""
    for number in range(steps.progress.done + 1, payload.numbers + 1):
        squared = await steps.compute(payload.mark or number)

        async def work(keeping: Keeping, number: int = number, squared: int = squared) -> Part:
            return Part(done=number, total=payload.numbers, total_so_far=steps.progress.total_so_far + squared)

        await steps.step(work)


async def begun(two: Two, kind: JobKind[Any, Any], payload: Sum) -> tuple[Job, TaskWorker, JobDesk]:
    module = keeper(two.connections, tasks=[kind])
    begin(Context(principal=Principal("user", "usr_ada")))
    job = await Transact(module.database, Keeping, tasks=[kind.name])(lambda keeping: keeping.uow.begin_job(kind.name, payload))
    return job, TaskWorker([module], Wakeup([module.database])), JobDesk([(module.database, module.tasks)])


async def test_a_job_computes_elsewhere_and_keeps_the_results_in_its_steps(two: Two):
    kind = JobKind("squares", Sum, Part, squares, compute=computing.square)
    job, worker, desk = await begun(two, kind, Sum(4))
    async with supervised(worker.loops()):
        await until(lambda: two.admin.fetchval("select state = 'done' from keeper.task where kind = 'squares'"))
    assert (await desk.read(job.id, Principal("user", "usr_ada"))).status == "succeeded"
    kept = await two.admin.fetchval("select progress from keeper.task where kind = 'squares'")
    assert msgspec.json.decode(kept, type=Part) == Part(done=4, total=4, total_so_far=30)


async def test_cancelling_a_job_kills_what_it_computes(two: Two, tmp_path: Path):
    kind = JobKind("squares", Sum, Part, squares, compute=computing.for_ever)
    job, _, desk = await begun(two, kind, Sum(4, str(tmp_path / "pid")))
    module = keeper(two.connections, tasks=[kind])
    quick = TaskWorker([module], Wakeup([module.database]), claim_s=0.3)
    async with supervised(quick.loops()):
        pid = await written(tmp_path / "pid")
        assert (await desk.cancel(job.id, Principal("user", "usr_ada"))).status == "cancelling"
        await until(lambda: two.admin.fetchval("select state = 'discarded' from keeper.task where kind = 'squares'"))
    assert not alive(pid)


async def test_a_job_that_kills_its_process_is_tried_again_and_the_worker_lives(two: Two):
    kind = JobKind("squares", Sum, Part, squares, compute=computing.die)
    job, worker, desk = await begun(two, kind, Sum(1))
    await worker.drain()
    found = await two.admin.fetchrow("select state, attempts, last_error from keeper.task where kind = 'squares'")
    assert found is not None
    assert (found["state"], found["attempts"]) == ("ready", 1)
    assert found["last_error"].startswith("ProcessDied")
    assert (await desk.read(job.id, Principal("user", "usr_ada"))).status == "queued"
