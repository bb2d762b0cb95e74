"""Says that there is something to do: in this process at once, in others by a coalesced NOTIFY. Nothing depends on either."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from shared.infra.db.connections import Connection
from shared.infra.db.database import Database
from shared.infra.db.unit_of_work import Recorded
from shared.infra.supervisor import idle

CHANNEL: Final = "tenon"
APART_S: Final = 0.01
CHECK_CONNECTION_S: Final = 30.0

_NOTIFY: Final = "select pg_notify($1, $2), set_config('synchronous_commit', 'off', true)"
"""Without waiting for a disk: a notification that a crash loses is made good by the next look at the log."""


class Wakeup:
    """Rings for a module when one of its transactions has recorded an event, a task, the wake-up of a saga or one
    that it does not run itself.

    NOTIFY takes a lock that all committing transactions share, so that it never happens inside a business transaction:
    it is sent from a session of its own, at most one per 10 ms, whatever number of transactions it speaks for.
    """

    def __init__(self, databases: Sequence[Database]) -> None:
        self._databases = tuple(databases)
        self._ears: defaultdict[str, list[asyncio.Event]] = defaultdict(list)
        self._unsaid: set[str] = set()
        self._something = asyncio.Event()
        for database in self._databases:
            database.on_commit(self._listener(database.module))

    def ear(self, *modules: str) -> asyncio.Event:
        """An event that is set whenever one of `modules` has something new; its owner clears it before looking."""
        ear = asyncio.Event()
        for module in modules:
            self._ears[module].append(ear)
        return ear

    def ring(self, module: str) -> None:
        """There is something to do for `module`, and it has been committed."""
        self._ring_here(module)
        self._unsaid.add(module)
        self._something.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Tell other processes, and hear them."""
        database = self._databases[0]
        async with database.connections.session(database.role) as connection:
            ourselves = connection.get_server_pid()  # not later: the last notification may come when the connection is gone

            def heard(_: object, pid: int, channel: str, payload: object) -> None:
                if pid != ourselves:
                    for module in str(payload).split(","):
                        self._ring_here(module)

            await connection.add_listener(CHANNEL, heard)
            lost = asyncio.Event()

            def ended(_: object) -> None:
                lost.set()
                self._something.set()

            connection.add_termination_listener(ended)
            while not stop.is_set() and not lost.is_set():
                await idle(stop, self._something, CHECK_CONNECTION_S)
                await self._say(connection)
                await idle(stop, lost, APART_S)
        if lost.is_set():
            raise ConnectionError("the session that listens was ended")

    async def _say(self, connection: Connection) -> None:
        self._something.clear()
        said, self._unsaid = self._unsaid, set()
        try:
            await connection.execute(_NOTIFY, CHANNEL, ",".join(sorted(said)))
        except Exception:
            self._unsaid |= said
            raise

    def _ring_here(self, module: str) -> None:
        for ear in self._ears.get(module, ()):
            ear.set()

    def _listener(self, module: str) -> Any:
        def committed(recorded: Recorded) -> None:
            unclaimed = any(saga.claim_s is None for saga in recorded.sagas)
            if recorded.events or recorded.tasks or recorded.wakes or unclaimed:
                self.ring(module)

        return committed
