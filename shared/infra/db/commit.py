"""How a transaction ends: COMMIT that is checked and whose outcome is found out, and cleaning up that never raises."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from shared.domain.errors import CommitOutcomeUnknown
from shared.infra.db.connections import Connection, Connections
from shared.infra.db.errors import NotCommitted, connection_lost

ROLLBACK_TIMEOUT_S: Final = 2.0
RESOLVE_WITHIN_S: Final = 5.0
PAUSES_S: Final = (0.01, 0.5)


async def commit(connection: Connection) -> Exception | None:
    """Send COMMIT. Answers None once it has happened, and the error when the connection was lost before saying whether it has.

    Raises NotCommitted when the server had given the transaction up: it answers such a COMMIT with ROLLBACK.
    """
    try:
        answer = await connection.execute("COMMIT")
    except Exception as error:
        if not connection_lost(error):
            raise
        connection.terminate()
        return error
    if answer != "COMMIT":
        raise NotCommitted(f"COMMIT was answered {answer}: a statement had failed, and its error was swallowed")
    return None


async def resolve(connections: Connections, role: str, xid: str | None, lost: Exception) -> None:
    """Find out on another connection how `xid` ended: returns when it has committed, raises NotCommitted or CommitOutcomeUnknown.

    The caller holds no connection any more. Without an xid nothing was written, and nothing can be missing.
    """
    if xid is None:
        return
    ends = monotonic() + RESOLVE_WITHIN_S
    pause, longest = PAUSES_S
    while (left := ends - monotonic()) > 0:
        status = None
        with suppress(Exception):  # no connection yet, or a lost one again: ask until the time is up
            async with asyncio.timeout(left), connections.single(role) as connection:
                status = await connection.fetchval("select pg_xact_status($1::text::xid8)", xid)
        if status == "committed":
            return
        if status == "aborted":
            raise NotCommitted(f"transaction {xid} was rolled back") from lost
        await asyncio.sleep(min(pause, left))
        pause = min(longest, pause * 2)
    raise CommitOutcomeUnknown("the database was lost while it committed", retry_after=5) from lost


async def roll_back(connection: Connection, error: BaseException) -> None:
    """After `error`: leave no transaction open, or no connection. Raises nothing itself."""
    if connection.is_closed() or connection_lost(error):
        connection.terminate()
        return
    try:
        async with asyncio.timeout(ROLLBACK_TIMEOUT_S):
            await connection.execute("ROLLBACK")
    except Exception:  # noqa: BLE001 - whatever it is, the connection is of no use any more
        connection.terminate()
        return
    if connection.is_in_transaction():
        connection.terminate()


async def undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Finish `work` even if the task is cancelled meanwhile, once or often; the cancellation is delivered afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
