"""What happens inside one transaction: statements, an ORM session for those who ask, and what is recorded for its end."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from shared.domain.events import Event
from shared.domain.saga import Saga
from shared.infra.db import guest
from shared.infra.db.connections import Connection
from shared.infra.db.statements import Statements, count
from shared.infra.events import log
from shared.infra.saga import begun
from shared.infra.schema.saga_v1 import BEGIN_SAGA, WAKE_SAGA
from shared.infra.tasks import queue

ROWS_PER_INSERT: Final = 1000
"""A statement has at most 32,767 parameters."""


class Unregistered(Exception):
    """A module recorded something that it does not declare; whoever should deal with it would never learn of it."""


@dataclass(frozen=True, slots=True)
class Promises:
    """What the units of work of a module may record."""

    events: frozenset[type[Event]] = frozenset()
    tasks: frozenset[str] = frozenset()
    sagas: Mapping[str, Saga[Any, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Recorded:
    """Written at the end of the transaction, in the order of the fields but for the events, which are always last."""

    sagas: list[begun.Begun] = field(default_factory=list)
    wakes: list[str] = field(default_factory=list)
    tasks: list[queue.NewTask] = field(default_factory=list)
    events: list[log.NewEvent] = field(default_factory=list)

    def lengths(self) -> tuple[int, int, int, int]:
        return len(self.sagas), len(self.wakes), len(self.tasks), len(self.events)

    def cut(self, lengths: tuple[int, int, int, int]) -> None:
        """Forget what came after `lengths` were taken."""
        sagas, wakes, tasks, events = lengths
        del self.sagas[sagas:], self.wakes[wakes:], self.tasks[tasks:], self.events[events:]


class UnitOfWork(Statements):
    """The chassis' half of a module's own unit of work; implements shared.domain.work.Recorder.

    It neither begins nor commits: `transact` does. `xid` is the transaction's id once something told it.
    """

    __slots__ = ("_depth", "_guest", "_promises", "recorded", "xid")

    def __init__(self, connection: Connection, promises: Promises) -> None:
        super().__init__(connection)
        self._promises = promises
        self._guest: guest.Guest | None = None
        self._depth = 0
        self.recorded = Recorded()
        self.xid: str | None = None

    async def execute(self, sql: str, *args: object) -> int:
        """A statement whose rows nobody wants; answers how many there were (changed, inserted, deleted)."""
        started = perf_counter()
        try:
            tag = await self._connection.execute(sql, *args)
        finally:
            count(started)
        number = tag.rpartition(" ")[2]
        return int(number) if number.isdigit() else 0

    async def session(self) -> AsyncSession:
        """SQLAlchemy on this very connection, in this very transaction. Never begin, commit or roll back through it."""
        if self._guest is None:
            self._guest = await guest.invite(self._connection)
        return self._guest.session

    def record(self, event: Event, *, version: int) -> None:
        self.recorded.events.append(log.NewEvent(event, version))

    def enqueue(self, kind: str, payload: object, *, unique: str | None = None, delay_s: float = 0.0, key: str = "") -> None:
        self.recorded.tasks.append(queue.NewTask(kind, payload, unique, delay_s, key))

    def begin_saga(self, name: str, state: msgspec.Struct, *, key: str) -> str:
        saga = self._promises.sagas.get(name)
        if saga is None:
            raise Unregistered(f"saga {name}: the module does not declare it")
        instance = begun.begin(saga, state, key)
        self.recorded.sagas.append(instance)
        return instance.id

    def wake_saga(self, saga_id: str) -> None:
        self.recorded.wakes.append(saga_id)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What happens inside is undone if it raises, also what it recorded; the transaction goes on."""
        name = f"tenon_{self._depth}"
        await self._flush_session()
        lengths = self.recorded.lengths()
        await self.execute(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
            await self._flush_session()
            await self.execute(f"RELEASE SAVEPOINT {name}")  # fails where a failed statement's error was swallowed inside
        except Exception:
            self.recorded.cut(lengths)
            if self._guest is not None:
                self._guest.session.expunge_all()
            await self.execute(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
            raise
        finally:
            self._depth -= 1

    async def flush(self) -> None:
        """Write what was recorded. The events are the last statement, so that the order of their ids is that of the commits."""
        await self._flush_session()
        await self._forget_session()
        self._check()
        recorded = self.recorded
        for saga in recorded.sagas:
            await self.execute(BEGIN_SAGA, *saga.row())
        for saga_id in recorded.wakes:
            await self.execute(WAKE_SAGA, saga_id)
        for start in range(0, len(recorded.tasks), ROWS_PER_INSERT):
            sql, arguments = queue.insert(recorded.tasks[start : start + ROWS_PER_INSERT])
            await self.execute(sql, *arguments)
        for start in range(0, len(recorded.events), ROWS_PER_INSERT):
            sql, arguments = log.insert(recorded.events[start : start + ROWS_PER_INSERT])
            self.xid = await self.fetchval(f"{sql} returning xid::text", *arguments)
        if self.xid is None:
            self.xid = await self._connection.fetchval("select pg_current_xact_id_if_assigned()::text")

    async def abandon(self) -> None:
        """After an error: let the guest go. Never raises, because the error is what matters."""
        with suppress(Exception):
            await self._forget_session()

    def _check(self) -> None:
        for new in self.recorded.events:
            if type(new.event) not in self._promises.events:
                raise Unregistered(f"event {new.event.event_type}: the module does not publish it")
        for task in self.recorded.tasks:
            if task.kind not in self._promises.tasks:
                raise Unregistered(f"task {task.kind}: the module does not declare it")

    async def _flush_session(self) -> None:
        if self._guest is not None:
            await self._guest.session.flush()

    async def _forget_session(self) -> None:
        leaving, self._guest = self._guest, None
        if leaving is not None:
            await leaving.leave()
