"""What an exception of the database means: which rule it broke, and whether the same work may be run again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from shared.domain.errors import CommitOutcomeUnknown, DomainError, Unavailable

SERIALIZATION_FAILURE: Final = "40001"
DEADLOCK: Final = "40P01"
LOCK_TIMEOUT: Final = "55P03"
STATEMENT_TIMEOUT: Final = "57014"
CONNECTION_GONE: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"})
"""Ended by an administrator, a crash or a restart; idle for too long, also inside a transaction; open for too long."""

TOO_MANY_CONNECTIONS: Final = "53300"


class NotCommitted(Exception):
    """Certain: nothing of this attempt is in the database, so that the whole work may run again."""


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or gave up on this work; nothing of it was kept, and it may be sent again."""

    code = "database_unavailable"
    title = "The database is not available"


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what it wraps: SQLAlchemy keeps the driver's exception in `orig`, others chain it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = getattr(error, "orig", None) or error.__cause__


def sqlstate(error: BaseException) -> str | None:
    """The first SQLSTATE among the causes of `error`."""
    return next((state for cause in causes(error) if isinstance(state := getattr(cause, "sqlstate", None), str)), None)


def constraint(error: BaseException) -> str | None:
    """The name of the violated constraint: what integrity errors are told apart by, never by their message."""
    return next((name for cause in causes(error) if isinstance(name := getattr(cause, "constraint_name", None), str)), None)


@contextmanager
def violations(**meaning: DomainError) -> Iterator[None]:
    """Within it, the violation of a constraint that is named here raises what it means to the domain."""
    try:
        yield
    except Exception as error:
        if (told := meaning.get(constraint(error) or "")) is not None:
            raise told from error
        raise


def connection_lost(error: BaseException) -> bool:
    """The session is gone, or was never had. A terminated one shows as InternalClientError, neither of asyncpg's usual kinds."""
    state = sqlstate(error) or ""
    if state.startswith("08") or state in CONNECTION_GONE or state == TOO_MANY_CONNECTIONS:
        return True
    return any(isinstance(cause, (OSError, asyncpg.InternalClientError)) or _closed(cause) for cause in causes(error))


def _closed(cause: BaseException) -> bool:
    """An InterfaceError is also what a wrong number of arguments raises, which no second try will cure."""
    return isinstance(cause, asyncpg.InterfaceError) and "closed" in str(cause)


def may_run_again(error: BaseException) -> bool:
    """Nothing was committed, and the next attempt may well succeed. A plan goes stale when a migration runs meanwhile."""
    if isinstance(error, CommitOutcomeUnknown):
        return False
    if isinstance(error, NotCommitted) or sqlstate(error) in (SERIALIZATION_FAILURE, DEADLOCK) or connection_lost(error):
        return True
    return any(isinstance(cause, asyncpg.InvalidCachedStatementError) for cause in causes(error))


def refusal(error: BaseException) -> DatabaseUnavailable | None:
    """What to tell a caller about an error that is nobody's fault and was not cured by running again; None: tell the error itself."""
    if isinstance(error, DomainError):
        return None
    if connection_lost(error):
        return DatabaseUnavailable("the database cannot be reached", retry_after=1)
    if sqlstate(error) in (SERIALIZATION_FAILURE, DEADLOCK, LOCK_TIMEOUT, STATEMENT_TIMEOUT):
        return DatabaseUnavailable("the database was too busy with the same rows", retry_after=1)
    return None
