"""All Postgres connections of this process, for every role, in one budget that counts open ones, used and idle."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from time import monotonic
from types import TracebackType
from typing import Any, TypeAlias

import asyncpg

from shared.domain import guard
from shared.domain.errors import Busy

Connection: TypeAlias = "asyncpg.Connection[Any]"  # generic in its stubs only
Connect = Callable[[str], Awaitable[Connection]]

CONNECT_TIMEOUT_S = 5.0
ANSWER_S = 15.0
"""How long an answer is waited for, also where nobody has a deadline: longer than the server's own limit for a statement, so that only a
server that hangs, or a wire that leads nowhere, is ever given up."""

STATEMENTS_KEPT = 256

background: ContextVar[bool] = ContextVar("tenon_background", default=False)
"""True in the loops (dispatcher, tasks, sagas, listener): a few places stay theirs however many requests there are."""


def connector(database_url: str, password_of: Callable[[str], str]) -> Connect:
    """How to log in as a role. `database_url` names the server and the database; user and password in it are ignored."""

    async def connect(role: str) -> Connection:
        return await asyncpg.connect(
            database_url,
            user=role,
            password=password_of(role),
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=ANSWER_S,
            statement_cache_size=STATEMENTS_KEPT,
            server_settings={"application_name": "tenon"},
        )

    return connect


class Lease:
    """One connection in use by one task, from entering to leaving."""

    __slots__ = ("_connections", "_held", "_keep", "_single", "background", "connection", "role")

    connection: Connection

    def __init__(self, connections: Connections, role: str, *, keep: bool, single: bool = False) -> None:
        self._connections = connections
        self._held: guard.Held | None = None
        self._keep = keep
        self._single = single
        self.role = role
        self.background = background.get()

    async def __aenter__(self) -> Connection:
        held = guard.hold(self.role)
        try:
            self.connection = await self._connections.take(self.role, self.background)
        except BaseException:
            guard.let_go(held)
            raise
        self._held = held
        return self.connection

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._single and isinstance(error, asyncio.CancelledError | TimeoutError):
            self._keep = False
        self.leave()

    def leave(self) -> None:
        """Give the connection back; a second time does nothing."""
        if self._held is None:
            return
        guard.let_go(self._held)
        self._held = None
        self._connections.put_back(self.role, self.connection, self.background, keep=self._keep)


class _Waiter:
    """`given` ends with a connection of the role, or with None: the permission to open one."""

    __slots__ = ("background", "given", "impatient", "role", "since")

    def __init__(self, role: str, background: bool) -> None:
        self.given: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self.role = role
        self.background = background
        self.impatient = False
        self.since = monotonic()


class Connections:
    """Grows lazily up to `limit` open ones, closes what was idle for `idle_s`.

    When it is full, a task waits `patience_s` for a connection of its own role, which usually comes back within
    milliseconds, before the longest idle one of another role is closed for it: a new session costs the server much more.
    After `wait_s` it is refused with Busy. Requests leave `set_aside` places to the background.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        limit: int = 24,
        idle_s: float = 30.0,
        wait_s: float = 2.0,
        patience_s: float = 0.25,
        set_aside: int | None = None,
    ) -> None:
        self.limit = limit
        self._connect = connect
        self._idle_s = idle_s
        self._wait_s = wait_s
        self._patience_s = min(patience_s, wait_s)
        self._places_for_requests = limit - (limit // 6 if set_aside is None else set_aside)
        self._requests = 0
        self._idle: dict[str, deque[tuple[Connection, float]]] = {}
        self._waiters: deque[_Waiter] = deque()
        self._open_of: Counter[str] = Counter()
        self._closed = False
        self.open = 0
        self.peak = 0
        self.opened = 0
        self.refused = 0

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    def longest_wait(self) -> float:
        """For how many seconds the first request in the queue has been waiting."""
        since = next((waiter.since for waiter in self._waiters if not waiter.background), None)
        return 0.0 if since is None else monotonic() - since

    def by_role(self) -> dict[str, tuple[int, int]]:
        """How many connections are open, and how many of them idle."""
        return {role: (number, len(self._idle.get(role, ()))) for role, number in self._open_of.items()}

    def use(self, role: str) -> Lease:
        """A connection of `role` for the time of an `async with`; raises SecondConnection, Busy and what connecting raises."""
        return Lease(self, role, keep=True)

    def single(self, role: str) -> Lease:
        """The same for a single statement. When that is given up, the connection is closed: the next one would wait for its answer."""
        return Lease(self, role, keep=True, single=True)

    def session(self, role: str) -> Lease:
        """The same with a connection that is closed afterwards: for what would leave traces on a shared one, such as LISTEN."""
        return Lease(self, role, keep=False)

    def reap(self) -> None:
        """Close what has been idle for too long, or was closed by the server. The lifespan calls it every few seconds."""
        before = monotonic() - self._idle_s
        for role, idle in self._idle.items():
            stale = [each for each in idle if each[1] < before or each[0].is_closed()]
            for each in stale:
                idle.remove(each)
                self._drop(role, each[0])

    async def close(self) -> None:
        """Close what is idle, and from now on everything that comes back."""
        self._closed = True
        idle = [(role, connection) for role, kept in self._idle.items() for connection, _ in kept]
        self._idle.clear()
        await asyncio.gather(*(connection.close(timeout=1) for _, connection in idle), return_exceptions=True)
        for role, connection in idle:
            self._drop(role, connection)

    async def take(self, role: str, background: bool) -> Connection:
        """For Lease, which gives back what it took."""
        granted, connection = self._at_once(role, background, impatient=not self._open_of[role])
        if not granted:
            connection = await self._wait(role, background)
        return connection if connection is not None else await self._open(role, background)

    def put_back(self, role: str, connection: Connection, background: bool, *, keep: bool) -> None:
        """A connection that is closed or still in a transaction is never used again."""
        self._requests -= not background
        if not keep or self._closed or connection.is_closed() or connection.is_in_transaction():
            self._drop(role, connection)
        else:
            self._idle.setdefault(role, deque()).append((connection, monotonic()))
        self._serve()

    def _at_once(self, role: str, background: bool, *, impatient: bool) -> tuple[bool, Connection | None]:
        """Whether a place is granted now; and the connection, or None: open one. What is granted is counted."""
        if not background and self._requests >= self._places_for_requests:
            return False, None
        connection = self._pop_idle(role)
        if connection is None:
            if self.open >= self.limit and not (impatient and self._evict()):
                return False, None
            self.open += 1
            self._open_of[role] += 1
            self.peak = max(self.peak, self.open)
        self._requests += not background
        return True, connection

    def _pop_idle(self, role: str) -> Connection | None:
        idle = self._idle.get(role)
        while idle:
            connection, _ = idle.pop()
            if not connection.is_closed():
                return connection
            self._drop(role, connection)
        return None

    def _evict(self) -> bool:
        """Close the longest idle connection of any role."""
        longest = min((role for role, idle in self._idle.items() if idle), key=lambda role: self._idle[role][0][1], default=None)
        if longest is None:
            return False
        self._drop(longest, self._idle[longest].popleft()[0])
        return True

    def _drop(self, role: str, connection: Connection) -> None:
        connection.terminate()
        self.open -= 1
        self._open_of[role] -= 1

    async def _open(self, role: str, background: bool) -> Connection:
        try:
            connection = await self._connect(role)
        except BaseException:
            self._forgo(role, background)
            raise
        self.opened += 1
        return connection

    def _forgo(self, role: str, background: bool) -> None:
        """Give back the permission to open a connection."""
        self._requests -= not background
        self.open -= 1
        self._open_of[role] -= 1
        self._serve()

    async def _wait(self, role: str, background: bool) -> Connection | None:
        waiter = _Waiter(role, background)
        self._waiters.append(waiter)
        try:
            await asyncio.wait((waiter.given,), timeout=self._patience_s)
            if not waiter.given.done():
                waiter.impatient = True
                self._serve()
                await asyncio.wait((waiter.given,), timeout=self._wait_s - self._patience_s)
        except BaseException:
            self._withdraw(waiter)
            raise
        if not waiter.given.done():
            self._waiters.remove(waiter)
            self.refused += 1
            raise Busy("every database connection is in use", retry_after=1)
        return waiter.given.result()

    def _withdraw(self, waiter: _Waiter) -> None:
        """The waiting task was cancelled, perhaps just after something was granted to it: that goes on to the next one."""
        if not waiter.given.done():
            self._waiters.remove(waiter)
        elif (connection := waiter.given.result()) is not None:
            self.put_back(waiter.role, connection, waiter.background, keep=True)
        else:
            self._forgo(waiter.role, waiter.background)

    def _serve(self) -> None:
        """Grant what can be granted, the longest waiting first."""
        refused: set[tuple[str, bool]] = set()
        for waiter in tuple(self._waiters):
            kind = (waiter.role, waiter.background)
            if kind in refused:  # whoever came later is not more impatient
                continue
            impatient = waiter.impatient or not self._open_of[waiter.role]
            granted, connection = self._at_once(waiter.role, waiter.background, impatient=impatient)
            if granted:
                self._waiters.remove(waiter)
                waiter.given.set_result(connection)
            else:
                refused.add(kind)
