"""One use case, one transaction: BEGIN and COMMIT, the idempotent answer, running again, and a commit that got no answer."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from shared.domain.context import current
from shared.domain.events import Event
from shared.domain.once import Once, once
from shared.domain.saga import Saga
from shared.infra.db import once as idempotency
from shared.infra.db.commit import commit, resolve, roll_back, undisturbed
from shared.infra.db.connections import Connection
from shared.infra.db.database import Database
from shared.infra.db.errors import may_run_again, refusal
from shared.infra.db.unit_of_work import Promises, UnitOfWork

W = TypeVar("W")
T = TypeVar("T")

ATTEMPTS: Final = 5
FIRST_PAUSE_S: Final = 0.02


class Transact(Generic[W]):
    """Implements shared.domain.work.Transact for one module. `build` makes the module's own unit of work.

    `events`, `tasks` (names of kinds) and `sagas` are what its transactions may record.
    """

    def __init__(
        self,
        database: Database,
        build: Callable[[UnitOfWork], W],
        *,
        events: Sequence[type[Event]] = (),
        tasks: Sequence[str] = (),
        sagas: Sequence[Saga[Any, Any]] = (),
    ) -> None:
        self._database = database
        self._build = build
        self._promises = Promises(frozenset(events), frozenset(tasks), {saga.name: saga for saga in sagas})

    async def __call__(self, work: Callable[[W], Awaitable[T]], /) -> T:
        wanted = once.get()
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._attempt(work, wanted)
            except Exception as error:
                if attempt == ATTEMPTS or not may_run_again(error) or current().seconds_left(1.0) == 0.0:
                    if (told := refusal(error)) is not None:
                        raise told from error
                    raise
            await asyncio.sleep(random.random() * FIRST_PAUSE_S * 2**attempt)  # noqa: S311 - jitter, not a secret

    async def _attempt(self, work: Callable[[W], Awaitable[T]], wanted: Once | None) -> T:
        connections, role = self._database.connections, self._database.role
        async with connections.use(role) as connection:
            unit = UnitOfWork(connection, self._promises)
            try:
                await connection.execute("BEGIN")
                if wanted is not None:
                    await idempotency.claim(unit, wanted)
                result = await work(self._build(unit))
                if wanted is not None:
                    idempotency.store(unit, wanted, result)
                await unit.flush()
                lost = await commit(connection)
            except BaseException as error:
                await undisturbed(_undo(unit, connection, error))
                raise
        if lost is not None:
            await resolve(connections, role, unit.xid, lost)
        if wanted is not None:
            once.set(None)
        self._database.committed(unit.recorded)
        return result


async def _undo(unit: UnitOfWork, connection: Connection, error: BaseException) -> None:
    await unit.abandon()
    await roll_back(connection, error)
