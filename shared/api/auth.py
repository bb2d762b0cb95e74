"""Who calls: a bearer token or a guest's cart token, read from the headers and nowhere else."""

import re
from hashlib import sha256
from typing import Final

from shared.domain.authentication import Authenticator
from shared.domain.context import ANONYMOUS, Principal
from shared.domain.errors import Unauthenticated

CART_TOKEN: Final = "Cart-Token"  # noqa: S105 - the name of a header

_BEARER = re.compile(r"\A[Bb][Ee][Aa][Rr][Ee][Rr] ([A-Za-z0-9._~+/=-]{1,4096})\Z")
_CART_TOKEN = re.compile(r"\A[A-Za-z0-9_-]{20,200}\Z")


def token_hash(token: str) -> str:
    """What is kept of a high-entropy token: its SHA-256, in hexadecimal."""
    return sha256(token.encode()).hexdigest()


async def identify(authenticator: Authenticator, authorization: str | None, cart_token: str | None) -> Principal:
    """The caller. A bearer token wins over a cart token, so that a login can claim a cart; raises Unauthenticated."""
    if authorization is not None:
        match = _BEARER.match(authorization)
        if match is None:
            raise Unauthenticated("Authorization must be `Bearer` and one token")
        return await authenticator.authenticate(match[1])
    if cart_token is not None:
        if not _CART_TOKEN.match(cart_token):
            raise Unauthenticated(f"{CART_TOKEN} is not a cart's token")
        return Principal(kind="cart", id=token_hash(cart_token))
    return ANONYMOUS
