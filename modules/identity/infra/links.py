"""Mailed links in Postgres, as hashes."""

from datetime import timedelta

from modules.identity.domain.ports import Links, MailedLink
from shared.infra.db.unit_of_work import UnitOfWork

_ADD = """
insert into mailed_link (token_hash, purpose, user_id, address, password_hash, expires_at)
values ($1, $2, $3, $4, $5, now() + $6)
on conflict (token_hash) do nothing
"""

_CONSUME = """
update mailed_link set used_at = now()
where token_hash = $1 and purpose = $2 and used_at is null and expires_at > now()
returning token_hash, purpose, user_id, address, password_hash
"""
"""Of two at the same time the second waits for the first, looks at the row again, and finds it used."""


class SqlLinks(Links):
    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def known(self, token_hash: bytes) -> bool:
        return bool(await self._uow.fetchval("select exists (select from mailed_link where token_hash = $1)", token_hash))

    async def add(self, link: MailedLink, life: timedelta) -> None:
        await self._uow.execute(_ADD, link.token_hash, link.purpose, link.user_id, link.address, link.password_hash, life)

    async def consume(self, token_hash: bytes, purpose: str) -> MailedLink | None:
        row = await self._uow.fetchrow(_CONSUME, token_hash, purpose)
        return None if row is None else MailedLink(**row)
