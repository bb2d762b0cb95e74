"""A dispatcher that dies, freezes or loses its database: another takes over, and every event still takes effect once."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from shared.domain.errors import Unavailable
from shared.infra.db.connections import Connections
from shared.infra.supervisor import Supervisor
from tests.chassis import two_modules
from tests.chassis.conftest import Two
from tests.chassis.events.conftest import Listener
from tests.chassis.waiting import until

MIDDLE = b"in the middle\n"


@asynccontextmanager
async def another(two: Two) -> AsyncIterator[Process]:
    """A dispatcher in another process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chassis.events.listening", two.url, stdin=PIPE, stdout=PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process.stdin.close()


async def said(process: Process, line: bytes) -> None:
    """The process has come to `line`; its log goes the same way."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while (heard := await process.stdout.readline()) != line:
            assert heard, f"the process ended before it said {line!r}"


async def test_after_a_kill_in_the_middle_of_a_batch_another_takes_over_and_nothing_happens_twice(two: Two, listener: Listener):
    for thing in "abc":
        await two.make.make(thing)
    await two.make.make("c", note="stop")
    await two.make.make("d")
    async with another(two) as process:
        await said(process, MIDDLE)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert await listener.heard() == {}
    await listener.worker().drain()
    assert await listener.heard() == {"a": [1], "b": [1], "c": [1, 2], "d": [1]}


async def test_a_frozen_dispatcher_is_fenced_by_the_server_and_does_nothing_when_it_wakes(two: Two, listener: Listener):
    await two.make.make("a")
    await two.make.make("b", note="stop")
    async with another(two) as process:
        assert process.stdin is not None
        await said(process, MIDDLE)
        process.send_signal(signal.SIGSTOP)
        worker = listener.worker()

        async def taken_over() -> bool:
            await worker.dispatcher.drain()
            return bool(await listener.heard())

        await until(taken_over)
        assert await listener.heard() == {"a": [1], "b": [1]}
        process.stdin.write(b"\n")
        await process.stdin.drain()
        process.send_signal(signal.SIGCONT)
        await two.make.make("c")

        async def third() -> bool:
            return len(await listener.heard()) == 3

        await until(third)
        assert process.returncode is None
    await worker.drain()
    assert await listener.heard() == {"a": [1], "b": [1], "c": [1]}
    assert await listener.states() == []


async def test_an_event_that_kills_the_process_is_dead_after_three_counted_runs_while_all_others_flow(two: Two, listener: Listener):
    await two.make.make("a")
    await two.make.make("poison", note="kill")
    await two.make.make("poison")
    await two.make.make("b")
    deaths = 0
    while "dead" not in await listener.states():
        assert deaths < 6
        async with another(two) as process:

            async def settled(process: Process = process) -> bool:
                return process.returncode is not None or "dead" in await listener.states()

            await until(settled)
            deaths += process.returncode is not None
    assert deaths == 4, "once in a batch of many, and three times alone"
    await two.make.make("c")
    await listener.worker().drain()
    assert await listener.heard() == {"a": [1], "b": [1], "c": [1]}
    assert await listener.states() == ["dead", "blocked"]
    error = await two.admin.fetchval("select last_error from keeper.task where kind = 'event:keeper.things' order by seq limit 1")
    assert "3 runs of this event alone had no outcome" in error


async def test_after_a_crash_a_cursor_returns_to_whole_batches(two: Two, listener: Listener):
    await two.admin.execute("update keeper.cursor set batch = 'gone', batch_at = now() - interval '1 hour'")
    for number in range(510):
        await two.make.make(f"thing-{number}")
    await listener.worker().drain()
    assert len(await listener.heard()) == 510
    assert await two.admin.fetchval("select suspects from keeper.cursor") == 0


async def test_who_was_frozen_between_signing_and_reading_leaves_the_batch_to_who_signed_since(two: Two, listener: Listener):
    """The one who came since knows that a batch was left behind, and goes one by one; the other would not."""
    (frozen,), (awake,) = (listener.worker().dispatcher._readings for _ in range(2))
    await two.make.make("a")
    mark = await frozen._cursor.mark(frozen._database, frozen._token)
    assert mark.group == 0
    assert (await awake._cursor.mark(awake._database, awake._token)).contended, "somebody has just signed"
    await two.admin.execute("update keeper.cursor set batch_at = now() - interval '1 second'")
    since = await awake._cursor.mark(awake._database, awake._token)
    assert since.left_behind
    assert since.suspicious
    assert (await frozen._batch(0, suspicious=False)).events == 0
    assert (await awake._batch(0, suspicious=True)).events == 1


async def test_a_session_that_is_terminated_again_and_again_by_one_event_ends_that_event(two: Two, listener: Listener):
    """The process lives; what kills the session would otherwise be repeated for ever."""

    async def handle(work: two_modules.Keeping, delivery) -> None:
        await work.note(delivery)
        if delivery.data.note == "terminate":
            await two.admin.execute(f"select pg_terminate_backend({await work.uow.fetchval('select pg_backend_pid()')})")
            await work.note(delivery)

    await two.make.make("a", note="terminate")
    await two.make.make("b")
    worker = listener.worker(handle)
    for _ in range(6):
        try:
            await worker.drain()
        except Unavailable:
            continue
    assert await listener.heard() == {"b": [1]}
    assert await listener.states() == ["dead"]


async def test_the_loops_stay_up_while_the_database_is_away_and_go_on_when_it_is_back(two: Two, listener: Listener):
    away = False
    reach = two.connections._connect

    async def connecting(role: str) -> asyncpg.Connection:
        if away:
            raise ConnectionRefusedError("no database")
        return await reach(role)

    connections = Connections(connecting, limit=20)
    loops = listener.worker(None, connections).loops()
    stop = asyncio.Event()
    running = asyncio.create_task(Supervisor(loops).run(stop))

    async def heard(number: int) -> bool:
        return sum(map(len, (await listener.heard()).values())) == number

    async def every_loop_was_refused() -> bool:
        return all(loop.last_error for loop in loops if loop.name.startswith(("events", "tasks", "claims")))

    await two.make.make("a")
    await until(lambda: heard(1))
    away = True
    await two.admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = 'tenon_keeper'"
    )
    await until(every_loop_was_refused)
    await two.make.make("a")
    away = False
    await until(lambda: heard(2))
    stop.set()
    await running
    await connections.close()
