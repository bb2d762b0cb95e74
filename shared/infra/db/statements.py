"""Statements on one connection, counted into the context of the running work."""

from time import perf_counter
from typing import Any, Protocol, TypeVar

import asyncpg
import msgspec

from shared.domain import guard
from shared.domain.context import OFTEN, ONE_BY_ONE, current
from shared.infra.db.connections import Connection
from shared.infra.db.repeats import sender

T = TypeVar("T", bound=msgspec.Struct)

Row = asyncpg.Record


class Reader(Protocol):
    """What queries need: a module's Database outside a transaction, a snapshot or a unit of work inside one."""

    __slots__ = ()

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...

    async def fetchrow(self, sql: str, *args: object) -> Row | None: ...

    async def fetchval(self, sql: str, *args: object) -> Any:
        """The first column of the first row; None when there is none."""
        row = await self.fetchrow(sql, *args)
        return None if row is None else row[0]

    async def views(self, shape: type[T], sql: str, *args: object) -> list[T]:
        """Rows as Structs: the columns of the select list are the fields of `shape`, in their order."""
        return [shape(*row) for row in await self.fetch(sql, *args)]

    async def view(self, shape: type[T], sql: str, *args: object) -> T | None:
        row = await self.fetchrow(sql, *args)
        return None if row is None else shape(*row)


class Statements(Reader):
    """The statements of whoever holds `connection`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        started = perf_counter()
        try:
            return await self._connection.fetch(sql, *args)
        except asyncpg.PostgresError as error:
            keep_values_out(error)
            raise
        finally:
            count(sql, started)

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        started = perf_counter()
        try:
            return await self._connection.fetchrow(sql, *args)
        except asyncpg.PostgresError as error:
            keep_values_out(error)
            raise
        finally:
            count(sql, started)


def keep_values_out(error: asyncpg.PostgresError) -> None:
    """Postgres quotes the whole row that a constraint refuses, and errors end in logs and in tables."""
    error.detail = None


def count(sql: str, started: float) -> None:
    """One statement has ended that began at `started` of `perf_counter()`."""
    context = current()
    context.sql_count += 1
    context.sql_seconds += perf_counter() - started
    if context.sent is not None:
        one = (guard.holding(), sql)
        times = context.sent[one] = context.sent.get(one, 0) + 1
        if times == OFTEN and ONE_BY_ONE not in sql:
            context.loops[one] = sender()
