"""Argon2id over a peppered HMAC, in one thread of its own with a bounded queue: hashing never stops the event loop."""

import asyncio
import hmac
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

from modules.identity.domain.password import canonical
from modules.identity.domain.ports import Turn
from shared.domain.errors import Busy

T = TypeVar("T")

SALT_BYTES = 16
HASH_BYTES = 32
PLACES = 64
"""At about 0.15 s for a hash, whoever comes last still gets an answer before the deadline of a request."""


class Argon2Passwords:
    """`peppers` are keys by version, of which the highest makes new hashes. What is stored is `<version>:<Argon2's encoding>`.

    With one lane a hash occupies one processor and leaves the other to the event loop; more lanes would cost the same and
    triple its lag.
    """

    def __init__(
        self, peppers: Mapping[int, bytes], *, memory_kib: int = 65536, iterations: int = 3, lanes: int = 1, places: int = PLACES
    ) -> None:
        self._peppers = dict(peppers)
        self._newest = max(peppers)
        self._hasher = PasswordHasher(iterations, memory_kib, lanes, HASH_BYTES, SALT_BYTES, type=Type.ID)
        self._nobodys = f"{self._newest}:$argon2id$v=19$m={memory_kib},t={iterations},p={lanes}${_random(SALT_BYTES)}${_random(HASH_BYTES)}"
        self._places = places
        self._taken = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passwords")

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """A place in the queue; raises Busy when all are taken."""
        if self._taken >= self._places:
            raise Busy("too many people are logging in at this moment", retry_after=1)
        self._taken += 1
        try:
            yield self
        finally:
            self._taken -= 1

    async def hash(self, password: str) -> str:
        return await self._in_thread(lambda: self._hash(password))

    async def matches(self, password: str, stored: str | None) -> bool:
        """`stored` None stands for somebody unknown: a hash that no password has is checked instead, at the same cost."""
        return await self._in_thread(lambda: self._matches(password, self._nobodys if stored is None else stored))

    def outdated(self, stored: str) -> bool:
        version, encoded = _parts(stored)
        return version != self._newest or self._hasher.check_needs_rehash(encoded)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _hash(self, password: str) -> str:
        return f"{self._newest}:{self._hasher.hash(self._peppered(password, self._newest))}"

    def _matches(self, password: str, stored: str) -> bool:
        version, encoded = _parts(stored)
        try:
            return self._hasher.verify(encoded, self._peppered(password, version))
        except VerifyMismatchError:
            return False

    def _peppered(self, password: str, version: int) -> bytes:
        """Whoever steals the table alone has nothing to guess against."""
        if version not in self._peppers:
            raise LookupError(f"stored passwords need pepper {version}, which is not configured")
        return hmac.digest(self._peppers[version], canonical(password).encode("utf-8", "surrogatepass"), "sha256")


def _parts(stored: str) -> tuple[int, str]:
    version, _, encoded = stored.partition(":")
    return int(version), encoded


def _random(size: int) -> str:
    return b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()
