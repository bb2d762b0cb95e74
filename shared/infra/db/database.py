"""A module's door to its data: its role, in its schema."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TypeVar

import structlog

from shared.domain.errors import CommitOutcomeUnknown
from shared.infra.db.commit import roll_back, undisturbed
from shared.infra.db.connections import Connections
from shared.infra.db.errors import connection_lost, refusal
from shared.infra.db.statements import Reader, Row, Statements
from shared.infra.db.unit_of_work import Recorded

R = TypeVar("R")

_log = structlog.get_logger(__name__)

_WRITES = re.compile(r"\b(insert|update|delete|merge|truncate|call|nextval|setval|lock)\b", re.IGNORECASE)


@lru_cache(maxsize=2048)
def only_reads(sql: str) -> bool:
    """Cautious: what locks or calls something that writes by its name counts as writing."""
    return sql.lstrip()[:6].lower().startswith(("select", "with", "values")) and not _WRITES.search(sql)


class Database(Reader):
    """Each call takes a connection for one statement, which commits by itself: reads, and writes of a single statement.

    A read is sent a second time when its connection turns out to be dead. Raises Busy, SecondConnection inside a
    transaction, DatabaseUnavailable, and CommitOutcomeUnknown for a write whose connection was lost.
    """

    def __init__(self, connections: Connections, module: str) -> None:
        self.connections = connections
        self.module = module
        self.role = f"tenon_{module}"
        self._listeners: list[Callable[[Recorded], None]] = []

    def on_commit(self, listener: Callable[[Recorded], None]) -> None:
        """Have `listener` called, in this process and at once, with what each of the module's transactions has recorded."""
        self._listeners.append(listener)

    def committed(self, recorded: Recorded) -> None:
        """For transact. A listener that fails is logged: after a COMMIT, an exception would look like its failure."""
        for listener in self._listeners:
            try:
                listener(recorded)
            except Exception:  # noqa: BLE001 - whatever it is, the transaction has committed
                _log.exception("commit_listener_failed", module=self.module)

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        return await self._run(sql, lambda statements: statements.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        return await self._run(sql, lambda statements: statements.fetchrow(sql, *args))

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reader]:
        """Statements that see one and the same state of the database: for answers whose parts must agree."""
        async with self.connections.use(self.role) as connection:
            try:
                await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield Statements(connection)
                await connection.execute("COMMIT")
            except BaseException as error:
                await undisturbed(roll_back(connection, error))
                raise

    async def _run(self, sql: str, statement: Callable[[Statements], Awaitable[R]]) -> R:
        again = False
        while True:
            sent = False
            try:
                async with self.connections.single(self.role) as connection:
                    sent = True
                    return await statement(Statements(connection))
            except Exception as error:
                lost = connection_lost(error)
                if lost and sent and not only_reads(sql):
                    raise CommitOutcomeUnknown("the database was lost during a write", retry_after=5) from error
                if again or not lost:
                    if (told := refusal(error)) is not None:
                        raise told from error
                    raise
            again = True
