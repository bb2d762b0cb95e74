"""What is read of identity, and the queries that answer it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal, Protocol

import msgspec
from msgspec import Meta

from modules.identity.domain.user import Role, User
from modules.identity.public import Contact
from shared.domain.page import PageRequest, Slice

OPEN_THE_LINK: Final = "Open the link that is being mailed to this address."


class UserView(msgspec.Struct, frozen=True):
    """A user, as they and the staff see them."""

    id: Annotated[str, Meta(examples=["usr_0199f3a27c5e7d10b4c8a1f2e3d4c5b6"])]
    version: int
    email: Annotated[str, Meta(examples=["ada@example.org"])]
    name: Annotated[str, Meta(examples=["Ada Lovelace"])]
    locale: Annotated[str, Meta(examples=["en-GB"])]
    roles: list[Role]
    verified: bool
    created_at: datetime


class RegistrationReceived(msgspec.Struct, frozen=True, kw_only=True):
    """The same for every address, known or not: what happens next is in the mail."""

    status: Literal["received"] = "received"
    next: Annotated[str, Meta(examples=[OPEN_THE_LINK])] = OPEN_THE_LINK


class TokensView(msgspec.Struct, frozen=True, kw_only=True):
    """`expires_in` is the access token's life in seconds; the refresh token is good for one exchange."""

    access_token: Annotated[str, Meta(examples=["header.claims.signature"])]
    refresh_token: Annotated[str, Meta(examples=["n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg"])]
    expires_in: Annotated[int, Meta(examples=[900])]
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a scheme (RFC 6750)


class LinkView(msgspec.Struct, frozen=True):
    """What a mailed link is for, whether it still works, and what to do `next`. Looking does not use it up."""

    purpose: Literal["verify_address"]
    state: Literal["open", "used", "expired"]
    expires_at: datetime
    next: str = ""


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A public key (RFC 7517) that access tokens are signed with."""

    kty: Annotated[str, Meta(examples=["EC"])]
    crv: Annotated[str, Meta(examples=["P-256"])]
    x: Annotated[str, Meta(examples=["04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY"])]
    y: Annotated[str, Meta(examples=["UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw"])]
    kid: Annotated[str, Meta(examples=["OHKNv4dzq5IyQoLMPlSTGmmkz5tVFBAxBiEBf3VrcbA"])]
    alg: Annotated[str, Meta(examples=["ES256"])]
    use: Annotated[str, Meta(examples=["sig"])]


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
