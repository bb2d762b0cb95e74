"""What identity needs from its store, from its clockwork and from its cryptography."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from modules.identity.domain.refresh import Presented
from modules.identity.domain.user import Candidate, Registration, Role, User
from modules.identity.domain.views import KeyView
from shared.domain.work import Recorder


class Addresses(Protocol):
    def normalised(self, text: str) -> str:
        """An e-mail address in its one spelling: Unicode NFC, the domain in lower case; raises InvalidAddress."""
        ...


class Users(Protocol):
    async def register(self, candidate: Candidate) -> Registration:
        """Add the candidate, or, where the address is known, count one more version; of an account that is not verified
        the newest password, name and locale stay. One statement either way."""
        ...

    async def add(self, candidate: Candidate, roles: Sequence[Role]) -> User | None:
        """Add a verified user; None when the address is known."""
        ...

    async def lock(self, user_id: str) -> User:
        """Raises NotFound."""
        ...

    async def lock_admins(self) -> frozenset[str]:
        """The ids of all administrators, who stay so until the transaction ends."""
        ...

    async def save(self, user: User) -> None: ...


class MailedLink(msgspec.Struct, frozen=True, kw_only=True):
    """`address` and `password_hash` are those at the time of mailing: a link confirms the registration that asked for it,
    and never what somebody else registered for the same address since."""

    token_hash: bytes
    purpose: str
    user_id: str
    address: str
    password_hash: str


class Links(Protocol):
    async def known(self, token_hash: bytes) -> bool: ...

    async def add(self, link: MailedLink, life: timedelta) -> None:
        """Adding a known one changes nothing, its expiry included."""
        ...

    async def consume(self, token_hash: bytes, purpose: str) -> MailedLink | None:
        """Use it up; None unless it is open. Of any number at the same time, one gets it."""
        ...


class Sessions(Protocol):
    """Each is a family of refresh tokens, all descending from one log-in."""

    async def begin(self, session_id: str, user_id: str, token_hash: bytes) -> datetime:
        """Answers when, by the database's clock."""
        ...

    async def present(self, token_hash: bytes) -> Presented | None:
        """The token and its session, locked."""
        ...

    async def rotate(self, token_hash: bytes, successor_hash: bytes, session_id: str) -> None: ...

    async def revoke(self, session_id: str, reason: str) -> int:
        """End the session; answers its version."""
        ...


class Work(Recorder, Protocol):
    """One transaction of this module."""

    @property
    def users(self) -> Users: ...

    @property
    def links(self) -> Links: ...

    @property
    def sessions(self) -> Sessions: ...


class Turn(Protocol):
    """A place in the queue for hashing."""

    async def hash(self, password: str) -> str: ...

    async def matches(self, password: str, stored: str | None) -> bool:
        """With None, for somebody unknown, it takes as long and is False."""
        ...


class Passwords(Protocol):
    """Slow hashes, made one after the other off the event loop."""

    def turn(self) -> AbstractContextManager[Turn]:
        """Raises Busy when the queue is full."""
        ...

    def outdated(self, stored: str) -> bool:
        """Whether it was made with other parameters or another pepper than the present ones."""
        ...


class Attempts(Protocol):
    """The brake on guessing, exact over all processes."""

    async def take(self, subject: str) -> None:
        """Count one more attempt before it is made; raises TooManyAttempts."""
        ...

    async def forgive(self, subject: str) -> None:
        """It was the right person: start from nothing."""
        ...


class AccessTokens(Protocol):
    @property
    def lifetime_s(self) -> int: ...

    def issue(self, user_id: str, session_id: str, roles: frozenset[Role], authenticated_at: datetime) -> str: ...

    def keys(self) -> list[KeyView]:
        """The public keys by which anybody can check our tokens."""
        ...
