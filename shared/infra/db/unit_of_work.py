"""What happens inside one transaction: statements, an ORM session for those who ask, and what is recorded for its end."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from shared.domain.events import Event
from shared.domain.jobs import Job
from shared.domain.saga import Saga
from shared.infra.db import guest
from shared.infra.db.closing import XID, Addition, Swap, closings
from shared.infra.db.connections import Connection
from shared.infra.db.statements import Statements, count, keep_values_out
from shared.infra.events import log
from shared.infra.saga import begun
from shared.infra.schema.saga_v1 import WAKE_SAGA
from shared.infra.tasks import queue

ROWS_PER_INSERT: Final = 1000


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
    """Written at the end of the transaction. `additions` are rows of the module's own tables."""

    wakes: list[str] = field(default_factory=list)
    additions: list[Addition] = field(default_factory=list)
    sagas: list[begun.Begun] = field(default_factory=list)
    tasks: list[queue.NewTask] = field(default_factory=list)
    events: list[log.NewEvent] = field(default_factory=list)

    def lengths(self) -> tuple[int, ...]:
        return tuple(len(rows) for rows in self._all())

    def cut(self, lengths: tuple[int, ...]) -> None:
        """Forget what came after `lengths` were taken."""
        for rows, length in zip(self._all(), lengths, strict=True):
            del rows[length:]

    def inserts(self) -> list[Addition]:
        """The wakes are none: they change rows."""
        inserts = [*self.additions, *(addition for saga in self.sagas for addition in saga.additions())]
        inserts += [queue.insert(self.tasks[at : at + ROWS_PER_INSERT]) for at in range(0, len(self.tasks), ROWS_PER_INSERT)]
        inserts += [log.insert(self.events[at : at + ROWS_PER_INSERT]) for at in range(0, len(self.events), ROWS_PER_INSERT)]
        return inserts

    def _all(self) -> tuple[list[Any], ...]:
        return self.wakes, self.additions, self.sagas, self.tasks, self.events


class UnitOfWork(Statements):
    """The chassis' half of a module's own unit of work; implements shared.domain.work.Recorder.

    It neither begins nor commits: `transact` does. `xid` is the transaction's id once something told it.
    """

    __slots__ = ("_depth", "_guest", "_promises", "_swap", "recorded", "xid")

    def __init__(self, connection: Connection, promises: Promises) -> None:
        super().__init__(connection)
        self._promises = promises
        self._guest: guest.Guest | None = None
        self._swap: Swap | None = None
        self._depth = 0
        self.recorded = Recorded()
        self.xid: str | None = None

    async def execute(self, sql: str, *args: object) -> int:
        """A statement whose rows nobody wants; answers how many there were (changed, inserted, deleted)."""
        started = perf_counter()
        try:
            tag = await self._connection.execute(sql, *args)
        except asyncpg.PostgresError as error:
            keep_values_out(error)
            raise
        finally:
            count(sql, started)
        number = tag.rpartition(" ")[2]
        return int(number) if number.isdigit() else 0

    async def write(self, sql: str, *args: object) -> int:
        """An INSERT, UPDATE or DELETE without RETURNING; answers how many rows there were. Saves asking for `xid` at the end."""
        rows = await self.fetch(f"{sql} returning {XID}", *args)
        if rows:
            self.xid = rows[0]["xid"]
        return len(rows)

    def append(self, sql: str, *args: object) -> None:
        """Insert rows at the end of the transaction, in one statement with the events.

        For rows that nothing in the transaction reads again, and that no constraint refuses in the course of business: what it
        refuses fails the whole transaction, whatever savepoint it was called in.
        """
        self.recorded.additions.append(Addition(sql, args))

    def swap(self, swap: Swap) -> None:
        """Have `swap` carried out by the last statement: once in a transaction."""
        self._swap = swap

    async def session(self) -> AsyncSession:
        """SQLAlchemy on this very connection, in this very transaction. Never begin, commit or roll back through it."""
        if self._guest is None:
            self._guest = await guest.invite(self._connection)
        return self._guest.session

    def record(self, event: Event, *, version: int) -> None:
        self.recorded.events.append(log.NewEvent(event, version))

    def enqueue(
        self,
        kind: str,
        payload: object,
        *,
        unique: str | None = None,
        delay_s: float = 0.0,
        key: str = "",
        priority: int = queue.DEFAULT_PRIORITY,
    ) -> None:
        self.recorded.tasks.append(queue.NewTask(kind, payload, unique, delay_s, key, priority))

    async def begin_job(self, kind: str, payload: msgspec.Struct, *, unique: str | None = None) -> Job:
        task = queue.NewTask(kind, payload, unique, priority=queue.JOB_PRIORITY)
        job = await queue.look_before_job(self, task)
        self.recorded.tasks.append(task)
        return job

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
        """Write what was recorded. The events are in the last statement, so that the order of their ids is that of the commits."""
        await self._flush_session()
        await self._forget_session()
        self._check()
        for saga_id in self.recorded.wakes:
            await self.write(WAKE_SAGA, saga_id)
        row = None
        for sql, arguments in closings(self.recorded.inserts(), self._swap):
            row = await self.fetchrow(sql, *arguments)
        if self._swap is not None:
            self._swap.hear(row)
        if row is not None:
            self.xid = row["xid"]
        elif self.xid is None:
            self.xid = await self.fetchval("select pg_current_xact_id_if_assigned()::text")

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
