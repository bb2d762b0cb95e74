"""Administration: who is who, and who may do what. It believes the stored roles, not those of a token."""

from collections.abc import Iterable

from modules.identity.domain.errors import LastAdmin
from modules.identity.domain.password import insist
from modules.identity.domain.ports import Addresses, Passwords, Work
from modules.identity.domain.user import Candidate, Role
from modules.identity.domain.views import IdentityQueries, UserView, user_view
from modules.identity.public import RolesChanged, UserVerified
from shared.domain.errors import Forbidden, NotFound
from shared.domain.ids import new_id
from shared.domain.page import PageRequest, Slice
from shared.domain.policy import STAFF
from shared.domain.work import Transact


class Administration:
    def __init__(self, transact: Transact[Work], queries: IdentityQueries, addresses: Addresses, passwords: Passwords) -> None:
        self._transact = transact
        self._queries = queries
        self._addresses = addresses
        self._passwords = passwords

    async def list_users(self, actor_id: str, page: PageRequest) -> Slice[UserView]:
        await self._insist_on_staff(actor_id)
        return await self._queries.users(page)

    async def get_user(self, actor_id: str, user_id: str) -> UserView:
        await self._insist_on_staff(actor_id)
        user = await self._queries.user(user_id)
        if user is None:
            raise NotFound("there is no such user")
        return user

    async def set_roles(self, actor_id: str, user_id: str, roles: Iterable[Role], expected_version: int | None) -> UserView:
        """All administrators are locked first: two of them cannot take the role from each other at the same time."""
        wanted = frozenset(roles)

        async def work(w: Work) -> UserView:
            admins = await w.users.lock_admins()
            if actor_id not in admins:
                raise Forbidden("you are not an administrator any more")
            user = await w.users.lock(user_id)
            user.expect_version(expected_version)
            if admins == {user_id} and Role.ADMIN not in wanted:
                raise LastAdmin("make somebody else an administrator first")
            if user.assign(wanted):
                await w.users.save(user)
                w.record(RolesChanged(user_id=user.id, actor_id=actor_id, roles=sorted(user.roles)), version=user.version)
            return user_view(user)

        return await self._transact(work)

    async def appoint(self, *, email: str, name: str, password: str, roles: Iterable[Role]) -> str | None:
        """Make a verified user without a mail, from the command line: the first administrator has nobody to ask.

        Answers the id; None when the address has an account, which is left as it is.
        """
        address, granted = self._addresses.normalised(email), sorted(set(roles))
        insist(password, email=address, name=name, roles=granted)
        with self._passwords.turn() as turn:
            password_hash = await turn.hash(password)
        candidate = Candidate(id=new_id("usr"), email=address, name=name, locale="en", password_hash=password_hash)

        async def work(w: Work) -> str | None:
            user = await w.users.add(candidate, granted)
            if user is None:
                return None
            w.record(UserVerified(user_id=user.id), version=user.version)
            return user.id

        return await self._transact(work)

    async def _insist_on_staff(self, actor_id: str) -> None:
        if not STAFF & await self._queries.roles(actor_id):
            raise Forbidden("you are not staff any more")
