"""Loops crash, are counted, and go on; a stop lets them finish."""

import asyncio

import pytest
from asyncpg import AdminShutdownError
from structlog.testing import capture_logs

from shared.domain.errors import Busy
from shared.infra.supervisor import Loop, Supervisor, ended, supervised


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.infra.supervisor.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("shared.infra.supervisor.LONGEST_PAUSE_S", 0.002)


async def test_a_crash_is_logged_counted_and_followed_by_a_restart_while_other_loops_go_on():
    stop, reached = asyncio.Event(), asyncio.Event()
    runs = 0

    async def crashing(stop: asyncio.Event) -> None:
        nonlocal runs
        runs += 1
        if runs <= 3:
            raise KeyError(f"crash {runs}")
        reached.set()
        await stop.wait()

    async def steady(stop: asyncio.Event) -> None:
        await stop.wait()

    loops = [Loop("crashing", crashing), Loop("steady", steady)]
    with capture_logs() as logs:
        running = asyncio.create_task(Supervisor(loops).run(stop))
        await reached.wait()
        stop.set()
        await running
    assert [(loop.name, loop.crashes, loop.last_error) for loop in loops] == [("crashing", 3, "KeyError('crash 3')"), ("steady", 0, "")]
    assert [(entry["event"], entry["loop"], entry["crashes"]) for entry in logs] == [("loop_crashed", "crashing", n) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    "reason",
    [
        Busy("no connection is free"),
        ConnectionRefusedError("nobody listens"),
        AdminShutdownError("bye"),
        ExceptionGroup("several at once", [Busy("no connection is free"), ConnectionResetError("gone")]),
    ],
)
async def test_a_loop_that_only_has_to_wait_is_no_crash(reason: Exception):
    stop = asyncio.Event()
    waited = False

    async def waiting(stop: asyncio.Event) -> None:
        nonlocal waited
        if not waited:
            waited = True
            raise reason
        stop.set()

    loop = Loop("waiting", waiting)
    with capture_logs() as logs:
        await Supervisor([loop]).run(stop)
    assert loop.crashes == 0
    assert [entry["event"] for entry in logs] == ["loop_waits"]


async def test_a_loop_with_an_error_of_its_own_among_outages_has_crashed():
    stop = asyncio.Event()

    async def failing(running: asyncio.Event) -> None:
        stop.set()
        raise ExceptionGroup("several at once", [Busy("no connection is free"), KeyError("mine")])

    loop = Loop("failing", failing)
    await Supervisor([loop]).run(stop)
    assert loop.crashes == 1


async def test_a_loop_that_ends_by_itself_is_a_crash():
    stop = asyncio.Event()
    runs = 0

    async def ending(running: asyncio.Event) -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            stop.set()

    loop = Loop("ending", ending)
    await Supervisor([loop]).run(stop)
    assert loop.crashes == 2


async def test_a_loop_that_waits_for_something_cancelled_has_crashed_and_goes_on():
    """The loop itself was not cancelled: without a word, it would be gone for the rest of the process' life."""
    stop = asyncio.Event()
    runs = 0

    async def waiting(stop: asyncio.Event) -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            stop.set()
            return
        cancelled = asyncio.get_running_loop().create_future()
        cancelled.cancel()
        await cancelled

    loop = Loop("waiting", waiting)
    await Supervisor([loop]).run(stop)
    assert (runs, loop.crashes, loop.last_error) == (2, 1, "CancelledError()")


async def test_what_a_loop_has_begun_outlives_its_crashes_and_is_finished_once_after_the_last_run():
    stop = asyncio.Event()
    seen: list[str] = []

    async def crashing(stop: asyncio.Event) -> None:
        seen.append("run")
        if len(seen) == 2:
            stop.set()
        raise KeyError("no luck")

    async def finish(within_s: float) -> None:
        seen.append(f"finish within {within_s:.0f} s")

    await Supervisor([Loop("crashing", crashing, finish)], grace_s=3.0).run(stop)
    assert seen == ["run", "run", "finish within 3 s"]


async def test_a_finish_that_fails_is_a_crash():
    async def waiting(stop: asyncio.Event) -> None:
        await stop.wait()

    async def finish(within_s: float) -> None:
        raise KeyError("no luck")

    loop = Loop("waiting", waiting, finish)
    async with supervised([loop]):
        pass
    assert (loop.crashes, loop.last_error) == (1, "KeyError('no luck')")


async def test_a_cut_leaves_no_time_to_finish():
    stop, cut, began = asyncio.Event(), asyncio.Event(), asyncio.Event()
    times: list[float] = []

    async def stubborn(stop: asyncio.Event) -> None:
        began.set()
        await asyncio.Event().wait()

    async def finish(within_s: float) -> None:
        times.append(within_s)

    running = asyncio.create_task(Supervisor([Loop("stubborn", stubborn, finish)], grace_s=3600.0, cut=cut).run(stop))
    await began.wait()
    stop.set()
    await asyncio.sleep(0)
    cut.set()
    await running
    assert times == [0.0]


async def test_what_is_late_is_cancelled_and_waited_for():
    async def late() -> None:
        await asyncio.Event().wait()

    async def quick() -> None:
        pass

    tasks = [asyncio.create_task(late()), asyncio.create_task(quick())]
    await tasks[1]
    assert await ended(tasks, 0.0) == tasks[:1]
    assert tasks[0].cancelled()


async def test_a_stop_waits_for_what_a_loop_has_begun():
    began, go_on = asyncio.Event(), asyncio.Event()
    finished = False

    async def working(stop: asyncio.Event) -> None:
        nonlocal finished
        began.set()
        await go_on.wait()
        finished = True

    async with supervised([Loop("working", working)]):
        await began.wait()
        go_on.set()
    assert finished


async def test_what_does_not_finish_in_time_is_cancelled():
    stop, began, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stubborn(stop: asyncio.Event) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    running = asyncio.create_task(Supervisor([Loop("stubborn", stubborn)], grace_s=0.01).run(stop))
    await began.wait()
    stop.set()
    await running
    assert cancelled.is_set()
