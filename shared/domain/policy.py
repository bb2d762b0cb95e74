"""Who may call what: one table per module, from operation to rule. Ownership is not here, it is in the queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.domain.context import Principal
from shared.domain.errors import Forbidden, Unauthenticated

STAFF: Final = frozenset({"support", "manager", "admin"})


@dataclass(frozen=True, slots=True)
class Rule:
    """`roles` None admits everybody, also anonymous callers; `guests` admits the holder of a guest's cart token."""

    roles: frozenset[str] | None
    guests: bool = False

    def check(self, principal: Principal) -> None:
        """Raises Unauthenticated when a credential could help, Forbidden when it could not."""
        if self.roles is None or (self.guests and principal.kind == "cart"):
            return
        if principal.kind in ("anonymous", "cart"):
            raise Unauthenticated("send a bearer token")
        if not self.roles & principal.roles:
            raise Forbidden("your roles do not include this operation")


def public() -> Rule:
    """Anybody, with or without a credential."""
    return Rule(roles=None)


def roles(*names: str) -> Rule:
    """Callers with at least one of these roles."""
    return Rule(frozenset(names))


def shopper() -> Rule:
    """Any logged-in user, and the holder of a guest's cart token."""
    return Rule(frozenset({"customer"}) | STAFF, guests=True)


def anyone_logged_in() -> Rule:
    return Rule(frozenset({"customer"}) | STAFF)


Policy = Mapping[str, Rule]
"""Operation id → rule. A route whose operation is missing here fails the build."""
