"""Signing in over HTTP, mailed links, and the keys that tokens are checked with."""

from typing import Final

import msgspec
from litestar import Controller
from litestar.di import NamedDependency
from litestar.params import FromQuery

from modules.identity.api.schemas import LogIn, RefreshToken, VerifyAddress
from modules.identity.domain.accounts import Accounts
from modules.identity.domain.errors import AddressUnverified, BadCredentials, LinkUnusable, RefreshRefused
from modules.identity.domain.sign_in import SignIn
from modules.identity.domain.views import KeySetView, LinkView, TokensView
from shared.api.answers import Reply, no_content, ok
from shared.api.routes import get, post
from shared.api.types import Token
from shared.domain.errors import NotFound, TooManyAttempts

NO_STORE: Final = ("Cache-Control", "no-store")
FIVE_MINUTES: Final = ("Cache-Control", "public, max-age=300")


class Auth(Controller):
    path = "/v1/auth"
    tags = ("auth",)

    @post(
        "/login",
        operation="logIn",
        errors=[BadCredentials, AddressUnverified, TooManyAttempts],
        status=200,
        idempotent="never",
        rate="auth",
        account="email",
    )
    async def log_in(self, data: LogIn, sign_in: NamedDependency[SignIn]) -> Reply[TokensView]:
        """Exchange a password for tokens.

        After five attempts in a quarter of an hour each further one has to wait, twice as long as the one before.
        """
        return tokens(await sign_in.log_in(email=data.email, password=data.password))

    @post("/refresh", operation="refreshTokens", errors=[RefreshRefused], status=200, idempotent="never")
    async def refresh(self, data: RefreshToken, sign_in: NamedDependency[SignIn]) -> Reply[TokensView]:
        """Exchange a refresh token for the next ones.

        Within ten seconds the same token is answered with the same successor. Later it is taken for stolen, and the whole
        session ends.
        """
        return tokens(await sign_in.refresh(data.refresh_token))

    @post("/logout", operation="logOut", status=204, idempotent="never")
    async def log_out(self, data: RefreshToken, sign_in: NamedDependency[SignIn]) -> Reply[None]:
        """End the session of a refresh token.

        Its access tokens run out by themselves, within 15 minutes.
        """
        await sign_in.log_out(data.refresh_token)
        return no_content()

    @get("/verify", operation="lookAtLink", errors=[NotFound], rate="auth")
    async def look(self, token: FromQuery[Token], accounts: NamedDependency[Accounts]) -> Reply[LinkView]:
        """Look at a mailed link without using it up.

        To use it, POST its token here.
        """
        reply = ok(await accounts.look_at_link(token))
        return Reply(reply.status, reply.body, (NO_STORE,))

    @post("/verify", operation="verifyAddress", errors=[LinkUnusable], status=204, idempotent="never", rate="auth")
    async def verify(self, data: VerifyAddress, accounts: NamedDependency[Accounts]) -> Reply[None]:
        """Confirm an address with the token of the link that was mailed to it.

        It works once, within 24 hours.
        """
        await accounts.verify(data.token)
        return no_content()


class WellKnown(Controller):
    path = "/.well-known"
    tags = ("auth",)

    @get("/jwks.json", operation="getKeySet")
    async def keys(self, sign_in: NamedDependency[SignIn]) -> Reply[KeySetView]:
        """The public keys of access tokens (RFC 7517)."""
        return Reply(200, msgspec.json.encode(sign_in.key_set()), (FIVE_MINUTES,))


def tokens(view: TokensView) -> Reply[TokensView]:
    return Reply(200, msgspec.json.encode(view), (NO_STORE,))
