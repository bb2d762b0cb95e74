"""SQLAlchemy as a guest on the connection that a unit of work holds: it never connects, begins, commits or closes."""

from collections.abc import Sequence
from contextvars import ContextVar
from functools import cache
from time import perf_counter
from typing import Any, ClassVar, cast
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import event, types
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection, PGDialect_asyncpg
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from shared.infra.db.connections import STATEMENTS_KEPT, Connection
from shared.infra.db.statements import count, keep_values_out

_host: ContextVar[Connection] = ContextVar("tenon_host_connection")


class GuestConnection(AsyncAdapt_asyncpg_connection):
    """Leaves the host's connection open. One that SQLAlchemy finds broken is terminated, and so never used again."""

    def close(self) -> None:
        pass

    def terminate(self) -> None:
        self._connection.terminate()

    def _handle_exception(self, error: Exception) -> None:
        if isinstance(error, asyncpg.PostgresError):
            keep_values_out(error)
        super()._handle_exception(error)  # type: ignore[no-untyped-call]  # SQLAlchemy's is untyped; it raises


class GuestDialect(PGDialect_asyncpg):
    """The adapters live as long as their connections, so that prepared statements stay warm.

    The host's connections have no JSON codecs (rows are decoded by msgspec, from text), so JSON columns decode here.
    """

    supports_statement_cache = True
    colspecs = {**PGDialect_asyncpg.colspecs, types.JSON: JSON, JSONB: JSONB}  # noqa: RUF012 - declared so by SQLAlchemy
    _adapters: ClassVar[WeakKeyDictionary[Connection, GuestConnection]] = WeakKeyDictionary()

    def on_connect(self) -> None:
        return None

    def connect(self, *_: Any, **__: Any) -> DBAPIConnection:
        host = _host.get()
        adapter = self._adapters.get(host)
        if adapter is None:
            adapter = GuestConnection(self.loaded_dbapi, host, STATEMENTS_KEPT)  # type: ignore[no-untyped-call] # SQLAlchemy's is untyped
            self._adapters[host] = adapter
        return cast("DBAPIConnection", adapter)


class Guest:
    """An ORM session on `host`, inside its transaction. Flush it before the transaction's last statements."""

    __slots__ = ("_connection", "session")

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.session = AsyncSession(bind=connection, expire_on_commit=False, autoflush=False)

    async def leave(self) -> None:
        """Sends nothing. What was loaded stays usable, detached."""
        self.session.expunge_all()
        await self.session.close()
        await self._connection.close()


async def invite(host: Connection) -> Guest:
    token = _host.set(host)
    try:
        return Guest(await _engine().connect())
    finally:
        _host.reset(token)


@cache
def _engine() -> AsyncEngine:
    """One for the process, because compiled statements are kept per engine. It holds no connection of its own."""
    registry.register("postgresql.guest", __name__, "GuestDialect")
    engine = create_async_engine("postgresql+guest://", poolclass=NullPool, isolation_level="AUTOCOMMIT", hide_parameters=True)
    event.listen(engine.sync_engine, "before_cursor_execute", _started)
    event.listen(engine.sync_engine, "after_cursor_execute", _ended)
    event.listen(engine.sync_engine, "handle_error", _failed)
    return engine


def _started(connection: Any, cursor: Any, statement: str, parameters: Sequence[Any], context: Any, many: bool) -> None:
    context.tenon_started = perf_counter()


def _ended(connection: Any, cursor: Any, statement: str, parameters: Sequence[Any], context: Any, many: bool) -> None:
    count(statement, context.tenon_started)


def _failed(error: ExceptionContext) -> None:
    started = getattr(error.execution_context, "tenon_started", None)
    if error.statement is not None and started is not None:
        count(error.statement, started)
