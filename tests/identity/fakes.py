"""Identity's store and cryptography in memory, for tests of its use cases."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from modules.identity.domain.errors import InvalidAddress
from modules.identity.domain.ports import MailedLink, Turn, Work
from modules.identity.domain.refresh import ABSOLUTE, IDLE, Presented
from modules.identity.domain.user import Candidate, Registration, Role, User
from modules.identity.domain.views import Credential, KeyView, LinkView, UserView, user_view
from modules.identity.public import Contact
from shared.domain.errors import Busy, NotFound, TooManyAttempts
from shared.domain.events import Event
from shared.domain.page import PageRequest, Slice, cut
from tests.support.memory import Unit

T = TypeVar("T")

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Rows:
    users: dict[str, User] = field(default_factory=dict)
    links: dict[bytes, MailedLink] = field(default_factory=dict)
    used: set[bytes] = field(default_factory=set)
    expiry: dict[bytes, datetime] = field(default_factory=dict)
    tokens: dict[bytes, Presented] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    events: list[tuple[Event, int]] = field(default_factory=list)

    def of(self, email: str) -> User | None:
        return next((user for user in self.users.values() if user.email.lower() == email.lower()), None)


class Store:
    """Runs one transaction after the other; what raises leaves nothing behind. `now` is the database's clock."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.now = START
        self.transactions = 0

    async def transact(self, work: Callable[[Work], Awaitable[T]], /) -> T:
        self.transactions += 1
        before = deepcopy(self.rows)
        try:
            return await work(FakeWork(self))
        except BaseException:
            self.rows = before
            raise


class FakeWork(Unit):
    def __init__(self, store: Store) -> None:
        super().__init__(store.rows.events)
        self.users, self.links, self.sessions = FakeUsers(store), FakeLinks(store), FakeSessions(store)


class FakeUsers:
    def __init__(self, store: Store) -> None:
        self._users = store.rows.users
        self._rows = store.rows

    async def register(self, candidate: Candidate) -> Registration:
        user = self._rows.of(candidate.email)
        if user is None:
            user = self._users[candidate.id] = made(candidate, {Role.CUSTOMER}, verified=False)
            return Registration(user_id=user.id, version=1, fresh=True, verified=False)
        if not user.verified:
            user.version += 1
            user.password_hash, user.name, user.locale = candidate.password_hash, candidate.name, candidate.locale
        return Registration(user_id=user.id, version=user.version, fresh=False, verified=user.verified)

    async def add(self, candidate: Candidate, roles: Sequence[Role]) -> User | None:
        if self._rows.of(candidate.email):
            return None
        self._users[candidate.id] = made(candidate, set(roles), verified=True)
        return self._users[candidate.id]

    async def lock(self, user_id: str) -> User:
        if user_id not in self._users:
            raise NotFound("there is no such user")
        return deepcopy(self._users[user_id])

    async def lock_admins(self) -> frozenset[str]:
        return frozenset(user.id for user in self._users.values() if Role.ADMIN in user.roles)

    async def save(self, user: User) -> None:
        self._users[user.id] = user


class FakeLinks:
    def __init__(self, store: Store) -> None:
        self._rows, self._now = store.rows, store.now

    async def known(self, token_hash: bytes) -> bool:
        return token_hash in self._rows.links

    async def add(self, link: MailedLink, life: timedelta) -> None:
        self._rows.links.setdefault(link.token_hash, link)
        self._rows.expiry.setdefault(link.token_hash, self._now + life)

    async def consume(self, token_hash: bytes, purpose: str) -> MailedLink | None:
        link = self._rows.links.get(token_hash)
        if link is None or link.purpose != purpose or token_hash in self._rows.used or self._rows.expiry[token_hash] <= self._now:
            return None
        self._rows.used.add(token_hash)
        return link


class FakeSessions:
    def __init__(self, store: Store) -> None:
        self._rows, self._now = store.rows, store.now

    async def begin(self, session_id: str, user_id: str, token_hash: bytes) -> datetime:
        self._rows.tokens[token_hash] = Presented(
            session_id=session_id,
            user_id=user_id,
            session_version=1,
            authenticated_at=self._now,
            session_expires_at=self._now + ABSOLUTE,
            revoked=False,
            expires_at=self._now + IDLE,
            used_at=None,
            now=self._now,
        )
        return self._now

    async def present(self, token_hash: bytes) -> Presented | None:
        token = self._rows.tokens.get(token_hash)
        if token is None:
            return None
        return msgspec.structs.replace(token, now=self._now, revoked=token.session_id in self._rows.ended)

    async def rotate(self, token_hash: bytes, successor_hash: bytes, session_id: str) -> None:
        old = self._rows.tokens[token_hash]
        self._rows.tokens[token_hash] = msgspec.structs.replace(old, used_at=self._now)
        self._rows.tokens[successor_hash] = msgspec.structs.replace(old, expires_at=min(self._now + IDLE, old.session_expires_at))

    async def revoke(self, session_id: str, reason: str) -> int:
        self._rows.ended[session_id] = reason
        return 2


class FakeQueries:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def credential(self, email: str) -> Credential | None:
        user = self._store.rows.of(email)
        return None if user is None else Credential(user.id, user.password_hash, user.verified)

    async def user(self, user_id: str) -> UserView | None:
        user = self._store.rows.users.get(user_id)
        return None if user is None else user_view(user)

    async def roles(self, user_id: str) -> frozenset[str]:
        user = self._store.rows.users.get(user_id)
        return frozenset() if user is None else user.roles

    async def users(self, page: PageRequest) -> Slice[UserView]:
        after: Any = page.after[0] if page.after else ""
        rows = [user_view(user) for user_id, user in sorted(self._store.rows.users.items()) if user_id > after]
        return cut(rows, page, lambda user: (user.id,))

    async def contacts(self, user_ids: Sequence[str]) -> list[Contact]:
        users = (self._store.rows.users[user_id] for user_id in user_ids if user_id in self._store.rows.users)
        return [Contact(user_id=user.id, email=user.email, name=user.name, locale=user.locale) for user in users]

    async def link(self, token_hash: bytes) -> LinkView | None:
        state: Any = "used" if token_hash in self._store.rows.used else "open"
        return LinkView("verify_address", state, self._store.rows.expiry[token_hash]) if token_hash in self._store.rows.links else None


class FakeAddresses:
    def normalised(self, text: str) -> str:
        if "@" not in text:
            raise InvalidAddress("no address")
        return text.strip()


class FakePasswords:
    """Reversible, and keeps account of what was done in which order, together with FakeAttempts."""

    def __init__(self, diary: list[str]) -> None:
        self.diary = diary
        self.generation = 1
        self.full = False

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        if self.full:
            raise Busy("full", retry_after=1)
        self.diary.append("turn")
        yield self

    async def hash(self, password: str) -> str:
        self.diary.append("hash")
        return f"{self.generation}:{password}"

    async def matches(self, password: str, stored: str | None) -> bool:
        self.diary.append("match")
        return stored is not None and stored.partition(":")[2] == password

    def outdated(self, stored: str) -> bool:
        return not stored.startswith(f"{self.generation}:")


class FakeAttempts:
    def __init__(self, diary: list[str]) -> None:
        self.diary = diary
        self.left = 5
        self.subjects: set[str] = set()

    async def take(self, subject: str) -> None:
        self.diary.append("take")
        self.subjects.add(subject)
        if self.left == 0:
            raise TooManyAttempts("wait", retry_after=2)
        self.left -= 1

    async def forgive(self, subject: str) -> None:
        self.diary.append("forgive")
        self.left = 5


class FakeAccessTokens:
    lifetime_s = 900

    def issue(self, user_id: str, session_id: str, roles: frozenset[Role], authenticated_at: datetime) -> str:
        return f"{user_id} {session_id} {','.join(sorted(roles))} {authenticated_at:%H:%M}"

    def keys(self) -> list[KeyView]:
        return []


def made(candidate: Candidate, roles: set[Role], *, verified: bool) -> User:
    c = candidate
    return User(c.id, c.email, c.name, c.locale, c.password_hash, frozenset(roles), verified, START, 1)
