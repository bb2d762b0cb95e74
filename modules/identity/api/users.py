"""Users over HTTP."""

from typing import Any

import msgspec
from litestar import Controller, Request
from litestar.di import NamedDependency
from litestar.params import FromPath

from modules.identity.api.schemas import RegisterUser, SetRoles
from modules.identity.domain.accounts import Accounts
from modules.identity.domain.administration import Administration
from modules.identity.domain.errors import InvalidAddress, LastAdmin, WeakPassword
from modules.identity.domain.views import RegistrationReceived, UserView
from shared.api.answers import Reply, ok
from shared.api.conditional import if_match
from shared.api.paging import Page, Paging
from shared.api.routes import get, post, put
from shared.api.types import Id
from shared.domain.context import current
from shared.domain.errors import NotFound


class Users(Controller):
    path = "/v1/users"
    tags = ("users",)

    @post(operation="registerUser", errors=[InvalidAddress, WeakPassword], status=202, idempotent="never", rate="auth", account="email")
    async def register(self, data: RegisterUser, accounts: NamedDependency[Accounts]) -> Reply[RegistrationReceived]:
        """Register an address.

        The answer is the same whether it is known or not; the rest is in the mail. Of an
        address that is not verified yet, the registration counts whose link is opened.
        """
        received = await accounts.register(email=data.email, name=data.name, locale=data.locale, password=data.password)
        return Reply(202, msgspec.json.encode(received))

    @get(operation="listUsers")
    async def list(self, paging: Paging, administration: NamedDependency[Administration]) -> Reply[Page[UserView]]:
        """List all users, in the order of their registration.

        For staff, as of this moment: a role that was taken away opens nothing, whatever the token says.
        """
        return paging.page(await administration.list_users(current().principal.id, paging.request))

    @get("/{user_id:str}", operation="getUser", errors=[NotFound])
    async def read(self, user_id: FromPath[Id], administration: NamedDependency[Administration]) -> Reply[UserView]:
        """Show a user to the staff."""
        return ok(await administration.get_user(current().principal.id, user_id))

    @put("/{user_id:str}/roles", operation="setUserRoles", errors=[NotFound, LastAdmin])
    async def set_roles(
        self, user_id: FromPath[Id], data: SetRoles, request: Request[Any, Any, Any], administration: NamedDependency[Administration]
    ) -> Reply[UserView]:
        """Give a user exactly these roles.

        They are in the tokens of the user's next refresh, within 15 minutes.
        """
        return ok(await administration.set_roles(current().principal.id, user_id, data.roles, if_match(request)))


class Me(Controller):
    path = "/v1/me"
    tags = ("users",)

    @get(operation="getMe")
    async def me(self, accounts: NamedDependency[Accounts]) -> Reply[UserView]:
        """Show who is logged in."""
        return ok(await accounts.me(current().principal.id))
