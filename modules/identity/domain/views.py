"""What is read of identity, and the queries that answer it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from modules.identity.domain.user import Role, User
from modules.identity.public import Contact
from shared.domain.page import PageRequest, Slice


class UserView(msgspec.Struct, frozen=True):
    """A user, as they and the staff see them."""

    id: str
    version: int
    email: str
    name: str
    locale: str
    roles: list[Role]
    verified: bool
    created_at: datetime


class RegistrationReceived(msgspec.Struct, frozen=True, kw_only=True):
    """The same for every address, known or not: what happens next is in the mail."""

    status: Literal["received"] = "received"
    next: str = "Open the link that is being mailed to this address."


class TokensView(msgspec.Struct, frozen=True, kw_only=True):
    """`expires_in` is the access token's life in seconds; the refresh token is good for one exchange."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a scheme (RFC 6750)


class LinkView(msgspec.Struct, frozen=True):
    """What a mailed link is for, and whether it still works. Looking does not use it up."""

    purpose: Literal["verify_address"]
    state: Literal["open", "used", "expired"]
    expires_at: datetime


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A public key (RFC 7517) that access tokens are signed with."""

    kty: str
    crv: str
    x: str
    y: str
    kid: str
    alg: str
    use: str


class KeySetView(msgspec.Struct, frozen=True, kw_only=True):
    keys: list[KeyView]


class Credential(msgspec.Struct, frozen=True):
    """What a log-in is checked against."""

    user_id: str
    password_hash: str
    verified: bool


class IdentityQueries(Protocol):
    async def credential(self, email: str) -> Credential | None: ...

    async def user(self, user_id: str) -> UserView | None: ...

    async def roles(self, user_id: str) -> frozenset[str]:
        """The roles of this moment; empty for an unknown user."""
        ...

    async def users(self, page: PageRequest) -> Slice[UserView]: ...

    async def contacts(self, user_ids: Sequence[str]) -> list[Contact]: ...

    async def link(self, token_hash: bytes) -> LinkView | None: ...


def user_view(user: User) -> UserView:
    return UserView(
        id=user.id,
        version=user.version,
        email=user.email,
        name=user.name,
        locale=user.locale,
        roles=sorted(user.roles),
        verified=user.verified,
        created_at=user.created_at,
    )
