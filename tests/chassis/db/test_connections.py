"""One budget of open connections over all roles: fair, refusing in time, and never two for one task."""

import asyncio
import contextlib

import pytest

from shared.domain.errors import Busy
from shared.domain.guard import SecondConnection, holding
from shared.infra.db.connections import Connections, background


class FakeConnection:
    def __init__(self, role):
        self.role = role
        self.closed = False
        self.in_transaction = False

    def is_closed(self):
        return self.closed

    def is_in_transaction(self):
        return self.in_transaction

    def terminate(self):
        self.closed = True

    async def close(self, *, timeout):
        self.closed = True


class Server:
    """Connects at once, or not at all; notes how many sessions it had at most."""

    def __init__(self):
        self.sessions = []
        self.most = 0
        self.refuses = False

    async def connect(self, role):
        await asyncio.sleep(0)
        if self.refuses:
            raise ConnectionRefusedError
        self.sessions.append(FakeConnection(role))
        self.most = max(self.most, sum(not session.closed for session in self.sessions))
        return self.sessions[-1]

    def opened(self, role):
        return sum(session.role == role for session in self.sessions)


@pytest.fixture
def server():
    return Server()


def budget(server, **options):
    return Connections(server.connect, **{"limit": 2, "wait_s": 0.05, "patience_s": 0.01, "set_aside": 0} | options)


class Holder:
    """A task of its own that holds a connection until it is told to let go."""

    def __init__(self, connections, role, *, in_background=False):
        self.has = asyncio.Event()
        self._may_go = asyncio.Event()
        background.set(in_background)
        self.task = asyncio.create_task(self._hold(connections, role))
        background.set(False)

    async def _hold(self, connections, role):
        async with connections.use(role) as connection:
            self.has.set()
            await self._may_go.wait()
        return connection

    async def let_go(self):
        self._may_go.set()
        return await self.task


async def holding_one(connections, role, **options):
    holder = Holder(connections, role, **options)
    await holder.has.wait()
    return holder


async def test_a_connection_is_used_again_by_its_role(server):
    connections = budget(server)
    async with connections.use("a") as first:
        assert holding() == "a"
    async with connections.use("a") as second:
        assert second is first
    assert holding() is None


async def test_the_limit_counts_idle_ones_over_all_roles(server):
    connections = budget(server, limit=3)
    for role in "abcdeabcde":
        async with connections.use(role):
            pass
    assert connections.open == 3
    assert server.most == 3


async def test_many_tasks_of_many_roles_never_exceed_the_limit_and_are_all_served(server):
    connections = budget(server, limit=4, wait_s=30)

    async def use(role):
        async with connections.use(role):
            await asyncio.sleep(0)

    await asyncio.gather(*(use(f"role {number % 7}") for number in range(700)))

    assert server.most <= 4
    assert connections.peak <= 4
    assert connections.open <= 4


async def test_who_waits_too_long_is_refused_and_told_when_to_come_back(server):
    connections = budget(server, limit=1)
    holder = await holding_one(connections, "a")

    with pytest.raises(Busy) as refused:
        async with connections.use("b"):
            pass

    assert refused.value.facts == {"retry_after": 1}
    assert holding() is None
    await holder.let_go()
    async with connections.use("b"):
        assert connections.open == 1


async def test_waiting_tasks_are_served_in_their_order(server):
    connections = budget(server, limit=1, wait_s=30, patience_s=30)
    first = await holding_one(connections, "a")
    order = []

    async def use(number):
        async with connections.use("a"):
            order.append(number)

    tasks = [asyncio.create_task(use(number)) for number in range(10)]
    await asyncio.sleep(0)
    await first.let_go()
    await asyncio.gather(*tasks)

    assert order == list(range(10))


async def test_a_patient_task_gets_the_next_one_of_its_role_rather_than_a_new_one(server):
    connections = budget(server, wait_s=30, patience_s=30)
    mine, other = await holding_one(connections, "a"), await holding_one(connections, "b")
    waiting = Holder(connections, "a")
    await asyncio.sleep(0)

    await other.let_go()
    assert not waiting.has.is_set()
    connection = await mine.let_go()
    await waiting.has.wait()

    assert await waiting.let_go() is connection
    assert server.opened("a") == 1


async def test_an_impatient_task_has_an_idle_one_of_another_role_closed(server):
    connections = budget(server, wait_s=30)
    mine = await holding_one(connections, "a")
    async with connections.use("b") as idle:
        pass
    waiting = await holding_one(connections, "a")

    assert idle.is_closed()
    assert connections.open == 2
    await mine.let_go()
    await waiting.let_go()


async def test_a_role_with_none_open_does_not_wait_for_one_of_its_own(server):
    connections = budget(server, limit=1, wait_s=30, patience_s=30)
    async with connections.use("a") as idle:
        pass
    async with connections.use("b"):
        assert idle.is_closed()


async def test_a_task_that_was_cancelled_while_waiting_leaves_the_next_one_its_turn(server):
    connections = budget(server, limit=1, wait_s=30, patience_s=30)
    holder = await holding_one(connections, "a")
    cancelled, next_one = Holder(connections, "a"), Holder(connections, "a")
    await asyncio.sleep(0)

    cancelled.task.cancel()
    await holder.let_go()
    await next_one.has.wait()
    await next_one.let_go()

    assert connections.open == 1


async def test_what_was_granted_to_a_task_at_the_moment_of_its_cancellation_is_passed_on(server):
    connections = budget(server, limit=1, wait_s=30, patience_s=30)
    holder = await holding_one(connections, "a")
    cancelled, next_one = Holder(connections, "a"), Holder(connections, "b")
    await asyncio.sleep(0)

    holder._may_go.set()
    while connections._waiters[0].role != "b":  # granted, and not yet resumed
        await asyncio.sleep(0)
    cancelled.task.cancel()
    await next_one.has.wait()
    await next_one.let_go()

    assert connections.open == 1


async def test_hundreds_of_random_cancellations_lose_no_place(server):
    connections = budget(server, limit=3, wait_s=30)

    async def use(number):
        async with connections.use(f"role {number % 3}"):
            for _ in range(number % 4):
                await asyncio.sleep(0)

    tasks = [asyncio.create_task(use(number)) for number in range(600)]
    for number, task in enumerate(tasks):
        if number % 3 == 0:
            await asyncio.sleep(0)
        if number % 2:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert connections.open <= 3
    assert connections._requests == 0
    await asyncio.gather(*(use(number) for number in range(30)))


async def test_a_failed_log_in_gives_its_place_back(server):
    connections = budget(server, limit=1)
    server.refuses = True
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            async with connections.use("a"):
                pass
    server.refuses = False
    async with connections.use("a"):
        assert connections.open == 1


async def test_a_connection_that_was_left_in_a_transaction_is_not_used_again(server):
    connections = budget(server)
    async with connections.use("a") as torn:
        torn.in_transaction = True
    async with connections.use("a") as other:
        assert other is not torn
    assert torn.is_closed()
    assert connections.open == 1


async def test_a_connection_that_died_while_idle_is_not_handed_out(server):
    connections = budget(server)
    async with connections.use("a") as dead:
        pass
    dead.closed = True
    async with connections.use("a") as other:
        assert other is not dead
    assert connections.open == 1


async def test_idle_connections_are_closed_after_a_while_and_used_ones_are_not(server):
    connections = budget(server, idle_s=-1)
    async with connections.use("a"), contextlib.AsyncExitStack():
        connections.reap()
        assert connections.open == 1
    connections.reap()
    assert connections.open == 0
    assert all(session.closed for session in server.sessions)


async def test_a_session_of_ones_own_counts_and_is_closed_after_use(server):
    connections = budget(server)
    async with connections.session("a") as own:
        assert connections.open == 1
    assert own.is_closed()
    assert connections.open == 0


async def test_requests_leave_places_to_the_background(server):
    connections = budget(server, set_aside=1)
    request = await holding_one(connections, "a")
    with pytest.raises(Busy):
        async with connections.use("a"):
            pass

    loop = await holding_one(connections, "a", in_background=True)
    waiting = Holder(connections, "a")
    await asyncio.sleep(0)
    await loop.let_go()
    assert not waiting.has.is_set()
    await request.let_go()
    await waiting.has.wait()
    await waiting.let_go()


async def test_a_task_holds_at_most_one(server):
    connections = budget(server)
    async with connections.use("a"):
        with pytest.raises(SecondConnection):
            async with connections.use("a"):
                pass
    assert connections.open == 1


async def test_after_closing_nothing_stays_open(server):
    connections = budget(server)
    holder = await holding_one(connections, "a")
    async with connections.use("b"):
        pass
    await connections.close()
    await holder.let_go()
    assert connections.open == 0
    assert all(session.closed for session in server.sessions)
