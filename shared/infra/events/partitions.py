"""Keeps the log in weekly partitions: made ahead of time, and removed when every subscriber is past them and they are old."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import asyncpg
import structlog

from shared.infra.db.database import Database
from shared.infra.db.errors import LOCK_TIMEOUT, DatabaseUnavailable, sqlstate
from shared.infra.hosted import Hosted

log = structlog.get_logger(__name__)

WEEKS_AHEAD: Final = 4
KEEP: Final = timedelta(days=35)


class Partitions:
    """The logs of `modules`. A step that has to wait for a lock is left for the next look; there are weeks of them."""

    def __init__(self, modules: Sequence[Hosted], *, keep: timedelta = KEEP) -> None:
        self._databases = [module.database for module in modules]
        self._keep = keep

    async def look(self) -> None:
        for database in self._databases:
            await self._extend(database)
            await self._shorten(database)
            if strays := await database.fetchval("select event_strays()"):
                log.error("event_without_partition", module=database.module, rows=strays)

    async def _extend(self, database: Database) -> None:
        for week in range(WEEKS_AHEAD + 1):
            if name := await self._step(database, "select event_partition_add($1)", week):
                log.info("partition_added", module=database.module, partition=name)

    async def _shorten(self, database: Database) -> None:
        while name := await self._step(database, "select event_partition_truncate($1)", self._keep):
            log.info("partition_emptied", module=database.module, partition=name)
        while name := await self._step(database, "select event_partition_drop()"):
            log.info("partition_dropped", module=database.module, partition=name)

    async def _step(self, database: Database, sql: str, *args: object) -> str | None:
        try:
            name: str | None = await database.fetchval(sql, *args)
        except DatabaseUnavailable as error:
            if sqlstate(error) != LOCK_TIMEOUT:
                raise
            log.info("partition_busy", module=database.module, step=sql)
            return None
        except asyncpg.CheckViolationError:
            log.error("partition_has_strays", module=database.module, step=sql)
            return None
        return name
