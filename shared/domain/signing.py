"""Tamper-proof tokens of our own (list cursors, quotes), as a port: who holds the key is the root's business."""

from typing import Protocol


class Signing(Protocol):
    def sign(self, message: bytes, /) -> bytes:
        """A short authenticator of `message`; begin the message with its purpose."""
        ...

    def verify(self, message: bytes, signature: bytes, /) -> bool:
        """Whether `signature` was made of exactly `message`, compared in constant time."""
        ...
