"""Sessions and their refresh tokens in Postgres, as hashes."""

from datetime import datetime

from modules.identity.domain.ports import Sessions
from modules.identity.domain.refresh import ABSOLUTE, IDLE, Presented
from shared.infra.db.unit_of_work import UnitOfWork

_BEGIN = """
with begun as (
    insert into session (id, user_id, expires_at) values ($1, $2, now() + $4) returning started_at
)
insert into refresh_token (token_hash, session_id, expires_at)
select $3, $1, now() + $5 from begun
returning (select started_at from begun)
"""

_PRESENT = """
select s.id as session_id, s.user_id, s.version as session_version, s.started_at as authenticated_at,
    s.expires_at as session_expires_at, s.revoked_at is not null as revoked, t.expires_at, t.used_at, clock_timestamp() as now
from refresh_token t join session s on s.id = t.session_id
where t.token_hash = $1
for update
"""
"""Both rows are locked: whoever waited for another refresh sees what it did to either."""

_ROTATE = """
with used as (
    update refresh_token set used_at = now() where token_hash = $1
)
insert into refresh_token (token_hash, session_id, expires_at)
select $2, s.id, least(now() + $4, s.expires_at) from session s where s.id = $3
"""

_REVOKE = """
update session set revoked_at = now(), revoked_because = $2, version = version + 1 where id = $1 returning version
"""


class SqlSessions(Sessions):
    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def begin(self, session_id: str, user_id: str, token_hash: bytes) -> datetime:
        started_at: datetime = await self._uow.fetchval(_BEGIN, session_id, user_id, token_hash, ABSOLUTE, IDLE)
        return started_at

    async def present(self, token_hash: bytes) -> Presented | None:
        row = await self._uow.fetchrow(_PRESENT, token_hash)
        return None if row is None else Presented(**row)

    async def rotate(self, token_hash: bytes, successor_hash: bytes, session_id: str) -> None:
        await self._uow.execute(_ROTATE, token_hash, successor_hash, session_id, IDLE)

    async def revoke(self, session_id: str, reason: str) -> int:
        version: int = await self._uow.fetchval(_REVOKE, session_id, reason)
        return version
