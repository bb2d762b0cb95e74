"""Whose a cart or an order is: a user's, or that of whoever holds a guest's token."""

from dataclasses import dataclass

from shared.domain.context import Principal
from shared.domain.policy import STAFF


@dataclass(frozen=True, slots=True)
class Owner:
    """Exactly one of the two is set. `token_hash` is the SHA-256 of the cart token in hexadecimal."""

    user_id: str | None = None
    token_hash: str | None = None

    @classmethod
    def of(cls, principal: Principal) -> "Owner":
        if principal.kind == "cart":
            return cls(token_hash=principal.id)
        return cls(user_id=principal.id)


def sees_all_orders(principal: Principal) -> bool:
    return bool(principal.roles & STAFF)
