"""Waking up: at once in this process, by a coalesced NOTIFY in others, and by the poll when neither comes."""

import asyncio
from functools import partial
from typing import Any

import asyncpg
import pytest

from shared.infra.db.database import Database
from shared.infra.events import dispatcher
from shared.infra.events.wakeup import CHANNEL, Wakeup
from tests.chassis.conftest import Two
from tests.chassis.events.conftest import Listener
from tests.chassis.two_modules import Maker, connect, maker
from tests.chassis.waiting import until


async def test_a_commit_rings_in_its_own_process_at_once(two: Two):
    wakeup = Wakeup([two.maker.database])
    ear, other = wakeup.ear("maker"), wakeup.ear("keeper")
    await two.make.make("a")
    assert ear.is_set()
    assert not other.is_set()


async def test_a_commit_of_another_process_rings_here(two: Two):
    connections = connect(two.url)
    here = Wakeup([Database(connections, "keeper")])
    ear = here.ear("maker")
    there = Wakeup([two.maker.database])
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(here.run(stop))
        group.create_task(there.run(stop))
        await until(lambda: listening(two, 2))
        await two.make.make("a")
        async with asyncio.timeout(60):
            await ear.wait()
        stop.set()
    await connections.close()


async def test_the_last_notification_of_a_session_is_heard_when_that_has_ended(two: Two, caplog: pytest.LogCaptureFixture):
    connections = connect(two.url)
    log_in = connections._connect
    sessions: list[Any] = []

    async def noted(role: str) -> Any:
        sessions.append(await log_in(role))
        return sessions[-1]

    connections._connect = noted
    wakeup = Wakeup([Database(connections, "keeper")])
    ear = wakeup.ear("maker")
    stop = asyncio.Event()
    running = asyncio.create_task(wakeup.run(stop))

    async def has_listener() -> bool:
        return bool(sessions and sessions[0]._listeners)

    await until(has_listener)
    [session] = sessions
    session._process_notification(0, CHANNEL, "maker")  # as the driver does, which calls listeners a moment later
    session.terminate()
    stop.set()
    await asyncio.gather(running, return_exceptions=True)
    assert ear.is_set()
    assert caplog.text == ""
    await connections.close()


async def test_a_burst_of_commits_is_told_by_few_notifications_and_never_inside_a_transaction(two: Two):
    heard: list[tuple[asyncpg.Connection, int, str, object]] = []

    def hear(*told: Any) -> None:
        heard.append(told)

    await two.admin.add_listener(CHANNEL, hear)
    wakeup = Wakeup([two.maker.database])
    stop = asyncio.Event()
    running = asyncio.create_task(wakeup.run(stop))
    await asyncio.gather(*(two.make.make(f"thing-{number}") for number in range(100)))
    await until(lambda: said_something(heard))
    stop.set()
    await running
    assert len(heard) < 50
    senders = {pid for _, pid, _, _ in heard}
    assert len(senders) == 1, "one session of its own"
    await two.admin.remove_listener(CHANNEL, hear)


async def test_a_lost_notification_only_costs_the_time_until_the_poll(two: Two, listener: Listener, monkeypatch):
    monkeypatch.setattr(dispatcher, "POLL_S", 0.05)
    connections = connect(two.url)
    worker = listener.worker(None, connections)
    stop = asyncio.Event()
    running = asyncio.create_task(worker.dispatcher.run(stop))  # without the loop that listens
    silent = Maker(maker(two.connections))
    for number in range(1, 4):
        await silent.make("a")
        await until(partial(heard, listener, number))
    stop.set()
    await running
    await connections.close()


async def test_the_session_that_listens_is_opened_again_when_it_was_ended(two: Two, listener: Listener):
    worker = listener.worker()
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    await until(lambda: listening(two, 1))
    first = await two.admin.fetchval(LISTENERS)
    await two.admin.execute(f"select pg_terminate_backend(pid) from ({LISTENERS}) listener")

    async def again() -> bool:
        return await two.admin.fetchval(LISTENERS) not in (None, first)

    await until(again)
    stop.set()
    await running


LISTENERS = """
    select pid from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and (query ilike 'listen%' or query like '%pg_notify%')
"""
"""By what the one session that listens has said last: LISTEN, or a notice of its own."""


async def listening(two: Two, number: int) -> bool:
    return len(await two.admin.fetch(LISTENERS)) >= number


async def said_something(heard: list[tuple[asyncpg.Connection, int, str, object]]) -> bool:
    return any(payload == "maker" for _, _, _, payload in heard)


async def heard(listener: Listener, number: int) -> bool:
    return len((await listener.heard()).get("a", [])) == number
