"""What others may know of identity: events, how to reach a person, and the facade."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

import msgspec

from shared.domain.errors import Conflict
from shared.domain.events import Event


class UserRegistered(Event, frozen=True, kw_only=True):
    """An address was registered for the first time; it is not verified yet."""

    event_type: ClassVar[str] = "identity.user_registered"
    event_key: ClassVar[str] = "user_id"
    user_id: str


class RegistrationRepeated(Event, frozen=True, kw_only=True):
    """Somebody registered an address that has an account. `verified` tells whether its owner needs a link or a warning."""

    event_type: ClassVar[str] = "identity.registration_repeated"
    event_key: ClassVar[str] = "user_id"
    user_id: str
    verified: bool


class UserVerified(Event, frozen=True, kw_only=True):
    """The owner of the address has confirmed the account."""

    event_type: ClassVar[str] = "identity.user_verified"
    event_key: ClassVar[str] = "user_id"
    user_id: str


class RolesChanged(Event, frozen=True, kw_only=True):
    """An administrator gave a user other roles; `roles` are all that they have now."""

    event_type: ClassVar[str] = "identity.roles_changed"
    event_key: ClassVar[str] = "user_id"
    user_id: str
    actor_id: str
    roles: list[str]


class TokenReused(Event, frozen=True, kw_only=True):
    """A refresh token came back after its successor was handed out: one of the two was stolen, and the session was ended."""

    event_type: ClassVar[str] = "identity.token_reused"
    event_key: ClassVar[str] = "session_id"
    session_id: str
    user_id: str


PUBLISHES: tuple[type[Event], ...] = (UserRegistered, RegistrationRepeated, UserVerified, RolesChanged, TokenReused)


class AlreadyVerified(Conflict):
    """The address has been verified; there is nothing left to confirm."""

    code = "already_verified"
    title = "Already verified"


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a person. `locale` is a BCP 47 tag."""

    user_id: str
    email: str
    name: str
    locale: str


class Identity(Protocol):
    async def contacts(self, user_ids: Sequence[str]) -> list[Contact]:
        """The users among these, in no particular order; unknown ids are absent."""
        ...

    async def verification_link(self, user_id: str, key: str) -> str:
        """A link that confirms the user's address, made now; the same for the same key. Raises NotFound, AlreadyVerified."""
        ...
