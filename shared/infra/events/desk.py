"""What an operator can do with the subscriptions of one module: see how far they are, pause one, let it go on."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
import structlog

from shared.domain.errors import NotFound
from shared.infra.db.database import Database

log = structlog.get_logger(__name__)

_LIST: Final = """
select subscription, publisher, shard_group, paused_at, paused_by, batch is not null and suspects > 0 as after_a_crash, updated_at,
    tasks.dead, tasks.waiting
from cursor cross join lateral (
    select count(*) filter (where state = 'dead')::integer as dead, count(*) filter (where state <> 'dead')::integer as waiting
    from task where kind = 'event:' || subscription and key <> '' and state in ('ready', 'claimed', 'blocked', 'dead')
) tasks order by subscription, shard_group
"""
_BEHIND: Final = """
select count(*)::integer, coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8 from (
    select created_at from {publisher}.event, (select consumed, last_id, shard_group, shard_groups from cursor where subscription = $1 and
        publisher = $2 and shard_group = $3) place
    where not pg_visible_in_snapshot(xid, consumed) and id > last_id and type = any($4) and shard % shard_groups = shard_group
        and xid >= pg_snapshot_xmin(consumed)
    limit 10000
) behind
"""
_PAUSE: Final = """
update cursor set paused_at = coalesce(paused_at, clock_timestamp()), paused_by = coalesce(paused_by, $2) where subscription = $1
returning subscription
"""
_RESUME: Final = "update cursor set paused_at = null, paused_by = null where subscription = $1 returning subscription"


class CursorRow(msgspec.Struct, frozen=True):
    """`dead` and `waiting` count the events of the subscription that travel as tasks."""

    subscription: str
    publisher: str
    shard_group: int
    paused_at: datetime | None
    paused_by: str | None
    after_a_crash: bool
    updated_at: datetime
    dead: int
    waiting: int


class Lag(msgspec.Struct, frozen=True):
    """What a subscription has not read yet: how many events, counted up to ten thousand, and the age of the oldest of them."""

    events: int
    seconds: float


class CursorDesk:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[CursorRow]:
        return await self._database.views(CursorRow, _LIST)

    async def behind(self, row: CursorRow, types: Sequence[str]) -> int:
        return (await self.lag(row, types)).events

    async def lag(self, row: CursorRow, types: Sequence[str]) -> Lag:
        sql = _BEHIND.format(publisher=row.publisher)
        return await self._database.view(Lag, sql, row.subscription, row.publisher, row.shard_group, [*types]) or Lag(0, 0.0)

    async def pause(self, subscription: str, *, by: str) -> None:
        """It reads no further until it is resumed; what it has set aside is still tried. Raises NotFound."""
        await self._change(_PAUSE, subscription, by)
        log.warning("subscription_paused", module=self._database.module, subscription=subscription, by=by)

    async def resume(self, subscription: str) -> None:
        await self._change(_RESUME, subscription)
        log.warning("subscription_resumed", module=self._database.module, subscription=subscription)

    async def _change(self, sql: str, subscription: str, *more: object) -> None:
        if not await self._database.fetch(sql, subscription, *more):
            raise NotFound(f"there is no subscription {subscription}")
