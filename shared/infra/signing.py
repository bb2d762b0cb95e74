"""HMAC-SHA-256 over the key that the root derives: how the edge makes cursors that cannot be forged."""

import hmac
from hashlib import sha256

SIGNATURE_BYTES = 16


class Signer:
    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("a signing key has at least 32 bytes")
        self._key = key

    def sign(self, message: bytes, /) -> bytes:
        return hmac.digest(self._key, message, sha256)[:SIGNATURE_BYTES]

    def verify(self, message: bytes, signature: bytes, /) -> bool:
        return hmac.compare_digest(self.sign(message), signature)
