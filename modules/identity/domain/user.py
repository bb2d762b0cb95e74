"""The user: an address, a password, roles."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from shared.domain.errors import StaleVersion


class Role(StrEnum):
    CUSTOMER = "customer"
    SUPPORT = "support"
    MANAGER = "manager"
    ADMIN = "admin"


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who wants an account, or one who already has it and does not remember."""

    id: str
    email: str
    name: str
    locale: str
    password_hash: str


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """How a registration ended: `fresh` made a new account, else the address had one, which changed unless it was verified."""

    user_id: str
    version: int
    fresh: bool
    verified: bool


@dataclass(slots=True)
class User:
    id: str
    email: str
    name: str
    locale: str
    password_hash: str
    roles: frozenset[Role]
    verified: bool
    created_at: datetime
    version: int

    def confirm(self, password_hash: str) -> bool:
        """The owner of the address stands by the registration that set this password; False when it was confirmed before."""
        if self.verified:
            return False
        self.verified, self.password_hash = True, password_hash
        self.version += 1
        return True

    def assign(self, roles: Iterable[Role]) -> bool:
        """Give exactly these roles; False when they are the present ones."""
        wanted = frozenset(roles)
        if wanted == self.roles:
            return False
        self.roles = wanted
        self.version += 1
        return True

    def expect_version(self, expected: int | None) -> None:
        if expected is not None and expected != self.version:
            raise StaleVersion(f"the user is at version {self.version}")
