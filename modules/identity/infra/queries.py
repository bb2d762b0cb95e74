"""The reads of identity: SQL to Structs, by position."""

from collections.abc import Sequence

from modules.identity.domain.views import Credential, IdentityQueries, LinkView, UserView
from modules.identity.public import Contact
from shared.domain.page import PageRequest, Slice, cut
from shared.infra.db.database import Database

_CREDENTIAL = "select id, password_hash, verified_at is not null from account where lower(email) = lower($1)"

_USER = """
select id, version, email, name, locale, roles, verified_at is not null, created_at
from account where id = $1
"""

_USERS = """
select id, version, email, name, locale, roles, verified_at is not null, created_at
from account where id > $1
order by id limit $2
"""
"""By account_pkey; ids are in the order of registration."""

_CONTACTS = "select id, email, name, locale from account where id = any($1)"

_LINK = """
select purpose, case when used_at is not null then 'used' when expires_at <= now() then 'expired' else 'open' end, expires_at
from mailed_link where token_hash = $1
"""


class SqlIdentityQueries(IdentityQueries):
    def __init__(self, database: Database) -> None:
        self._database = database

    async def credential(self, email: str) -> Credential | None:
        return await self._database.view(Credential, _CREDENTIAL, email)

    async def user(self, user_id: str) -> UserView | None:
        return await self._database.view(UserView, _USER, user_id)

    async def roles(self, user_id: str) -> frozenset[str]:
        return frozenset(await self._database.fetchval("select roles from account where id = $1", user_id) or ())

    async def users(self, page: PageRequest) -> Slice[UserView]:
        after = page.after[0] if page.after else ""
        rows = await self._database.views(UserView, _USERS, after, page.limit + 1)
        return cut(rows, page, lambda user: (user.id,))

    async def contacts(self, user_ids: Sequence[str]) -> list[Contact]:
        rows = await self._database.fetch(_CONTACTS, list(user_ids))
        return [Contact(user_id=row[0], email=row[1], name=row[2], locale=row[3]) for row in rows]

    async def link(self, token_hash: bytes) -> LinkView | None:
        return await self._database.view(LinkView, _LINK, token_hash)
