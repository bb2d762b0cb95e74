"""Opaque secrets: 256 bits that are handed out once and kept as SHA-256."""

import hmac
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256


def fresh() -> str:
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """What is stored instead of the token. It has 256 bits of its own, so that a slow hash would add nothing."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


class Derivation:
    """Secrets that come out the same when they are asked for again, from a key that only the server knows."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def successor(self, refresh_token: str) -> str:
        return self._of("refresh", refresh_token)

    def link(self, purpose: str, user_id: str, address: str, key: str) -> str:
        return self._of("link", purpose, user_id, address, key)

    def _of(self, *parts: str) -> str:
        framed = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode("utf-8", "surrogatepass") for part in parts))
        return urlsafe_b64encode(hmac.digest(self._key, framed, "sha256")).rstrip(b"=").decode()
