"""Secrets: a type that cannot be printed by accident, and keys derived from the root secret per purpose."""

from collections.abc import Callable

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MIN_BYTES = 32
PLACEHOLDERS = ("change", "secret", "example", "placeholder", "password", "default", "dummy", "xxxx", "0000", "1234")


class Secret:
    """Redacted wherever it is shown; `reveal()` is the one way to its text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def derive(self, purpose: str, length: int = 32) -> bytes:
        """A key of `length` bytes for one purpose (HKDF-SHA-256); different purposes give unrelated keys."""
        return HKDF(SHA256(), length, salt=None, info=f"tenon:{purpose}".encode()).derive(self._text.encode())

    def weakness(self) -> str | None:
        """Why this secret must not protect anything real; None when nothing speaks against it."""
        if len(self._text.encode()) < MIN_BYTES:
            return f"is shorter than {MIN_BYTES} bytes"
        if len(set(self._text)) < 10 or any(word in self._text.lower() for word in PLACEHOLDERS):
            return "looks like a placeholder"
        return None

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def role_password(secret: Secret) -> Callable[[str], str]:
    """How the password of a runtime role derives from the database secret."""
    return lambda role: secret.derive(f"role:{role}").hex()
