"""SQL under control in tests: budgets of statements, N+1 as an error, and what really goes over the wire."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from sqlalchemy import event

from shared.domain.context import Context, begin, current
from shared.infra.db import guest
from shared.infra.db.connections import Connect, Connection

ENDS: Final = frozenset({"BEGIN", "COMMIT", "ROLLBACK"})
DRIVERS: Final = ("typeinfo_tree", "current_setting('jit')")
"""Words of what asyncpg sends once in a connection when it meets a type that it does not know."""


@dataclass
class Spent:
    """The contexts of what ran inside: that of the test itself, and one for each request."""

    contexts: list[Context]

    @property
    def count(self) -> int:
        return sum(context.sql_count for context in self.contexts)

    def listed(self) -> str:
        """Each statement with how often it was sent, in the order of their first time."""
        sent: Counter[tuple[str | None, str]] = Counter()
        for context in self.contexts:
            sent.update(context.sent or {})
        return "\n".join(f"{times:4} times {' '.join(sql.split())}" for (_, sql), times in sent.items())


_spent: ContextVar[Spent | None] = ContextVar("tenon_test_spent", default=None)


@contextmanager
def query_budget(most: int) -> Iterator[Spent]:
    """At most so many statements inside, by requests of the test's clients and by use cases; BEGIN and COMMIT are not counted."""
    outside, own = current(), Context(sent={})
    spent = Spent([own])
    begin(own)
    token = _spent.set(spent)
    try:
        yield spent
    finally:
        _spent.reset(token)
        begin(outside)
    refuse_loops(own, "this")
    assert spent.count <= most, f"{spent.count} statements, and {most} are the budget:\n{spent.listed()}"


class Transport(httpx.ASGITransport):
    """To an application in this process. A request that sends a statement in a loop fails the test that sends it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        outside = current()
        try:
            answer = await super().handle_async_request(request)
            served = current()
        finally:
            begin(outside)
        if served is not outside:
            refuse_loops(served, f"{request.method} {request.url.path}")
            if (spent := _spent.get()) is not None:
                spent.contexts.append(served)
        return answer


def refuse_loops(context: Context, who: str) -> None:
    told = [f"{repeat.count} times {repeat.statement}\n    at {repeat.at}" for repeat in context.repeats()]
    assert not told, f"N+1: {who} sends a statement in a loop, where one for all rows is wanted:\n" + "\n".join(told)


@dataclass(frozen=True)
class Sent:
    """A statement as a role has sent it."""

    role: str
    sql: str
    arguments: tuple[Any, ...] = ()


@dataclass
class Wire:
    """What goes over `tapped` connections, and over those of SQLAlchemy while `hearing_guests` lasts."""

    sent: list[Sent] = field(default_factory=list)

    async def heard(self) -> list[Sent]:
        """Since it was asked last, without what begins and ends transactions, and what the driver asks about types."""
        await asyncio.sleep(0)  # asyncpg tells in the next round of the loop
        heard, self.sent = self.sent, []
        return [each for each in heard if each.sql.split()[0] not in ENDS and not any(of in each.sql for of in DRIVERS)]

    def tapped(self, connect: Connect) -> Connect:
        async def connected(role: str) -> Connection:
            connection = await connect(role)
            connection.add_query_logger(lambda record: self.sent.append(Sent(role, record.query, tuple(record.args or ()))))
            return connection

        return connected

    @contextmanager
    def hearing_guests(self) -> Iterator[None]:
        def hear(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
            if not many:  # which asyncpg itself tells
                self.sent.append(Sent("", statement))

        engine = guest._engine().sync_engine
        event.listen(engine, "before_cursor_execute", hear)
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", hear)
