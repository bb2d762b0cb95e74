"""Users in Postgres, for writing."""

from collections.abc import Sequence

from modules.identity.domain.ports import Users
from modules.identity.domain.user import Candidate, Registration, Role, User
from shared.domain.errors import NotFound
from shared.infra.db.statements import Row
from shared.infra.db.unit_of_work import UnitOfWork

_REGISTER = """
insert into account as a (id, email, name, locale, password_hash, roles) values ($1, $2, $3, $4, $5, '{customer}')
on conflict (lower(email)) do update set
    version = a.version + (a.verified_at is null)::integer,
    name = case when a.verified_at is null then excluded.name else a.name end,
    locale = case when a.verified_at is null then excluded.locale else a.locale end,
    password_hash = case when a.verified_at is null then excluded.password_hash else a.password_hash end
returning a.id, a.version, a.id = $1, a.verified_at is not null
"""

_ADD = """
insert into account (id, email, name, locale, password_hash, roles, verified_at) values ($1, $2, $3, $4, $5, $6, now())
on conflict (lower(email)) do nothing
returning id, email, name, locale, password_hash, roles, true, created_at, version
"""

_LOCK = """
select id, email, name, locale, password_hash, roles, verified_at is not null, created_at, version
from account where id = $1 for no key update
"""

_SAVE = """
update account set
    password_hash = $2, roles = $3, version = $5,
    verified_at = case when $4 then coalesce(verified_at, now()) end
where id = $1
"""

_LOCK_ADMINS = "select id from account where roles @> '{admin}' order by id for no key update"
"""By account_admins, a partial index; in one order, so that two administrators wait for each other and do not deadlock."""


class SqlUsers(Users):
    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def register(self, candidate: Candidate) -> Registration:
        c = candidate
        row = await self._uow.fetchrow(_REGISTER, c.id, c.email, c.name, c.locale, c.password_hash)
        if row is None:
            raise AssertionError("an upsert answers its row")
        return Registration(user_id=row[0], version=row[1], fresh=row[2], verified=row[3])

    async def add(self, candidate: Candidate, roles: Sequence[Role]) -> User | None:
        c = candidate
        row = await self._uow.fetchrow(_ADD, c.id, c.email, c.name, c.locale, c.password_hash, list(roles))
        return None if row is None else _user(row)

    async def lock(self, user_id: str) -> User:
        row = await self._uow.fetchrow(_LOCK, user_id)
        if row is None:
            raise NotFound("there is no such user")
        return _user(row)

    async def lock_admins(self) -> frozenset[str]:
        return frozenset(row[0] for row in await self._uow.fetch(_LOCK_ADMINS))

    async def save(self, user: User) -> None:
        await self._uow.execute(_SAVE, user.id, user.password_hash, sorted(user.roles), user.verified, user.version)


def _user(row: Row) -> User:
    user = User(*row)
    user.roles = frozenset(map(Role, user.roles))
    return user
