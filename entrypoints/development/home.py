"""The folder of a development system: its lock, its secrets, and what other terminals need to know to talk to it."""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

ROOT: Final = Path(__file__).resolve().parents[2]
DEFAULT: Final = ROOT / ".tenon"


class Taken(Exception):
    """Another process serves this folder; `pid` is its number."""

    def __init__(self, pid: str) -> None:
        super().__init__(pid)
        self.pid = pid


class Secrets(msgspec.Struct, frozen=True):
    """Made once and kept, as the data is of no use without them."""

    postgres: str
    valkey: str
    secret: str
    db_secret: str


class Home:
    def __init__(self, path: Path = DEFAULT) -> None:
        self.path = path.absolute()
        self._environment = self.path / "environment.json"
        self._lock = self.path / "lock"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """The kernel lets go of the lock when its holder ends, however it ends; raises Taken."""
        self.path.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Taken(self._lock.read_text().strip()) from None
            self._environment.unlink(missing_ok=True)  # of a predecessor that was killed
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def secrets(self) -> Secrets:
        file = self.path / "secrets.json"
        if not file.exists():
            self._write(file, msgspec.json.encode(Secrets(*(secrets.token_urlsafe(48) for _ in Secrets.__struct_fields__))))
        return msgspec.json.decode(file.read_bytes(), type=Secrets)

    def announce(self, environment: Mapping[str, str]) -> None:
        self._write(self._environment, json.dumps(environment, indent=1).encode())

    def running(self) -> dict[str, str] | None:
        """The settings of the system that is being served from here, if one is."""
        try:
            with self._lock.open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            with contextlib.suppress(FileNotFoundError):
                return msgspec.json.decode(self._environment.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            pass
        return None

    @staticmethod
    def outbox(mail_url: str) -> Path | None:
        """The folder that mail goes to; None: it goes to a server."""
        url = urlsplit(mail_url)
        return Path(unquote(url.path)) if url.scheme == "file" else None

    @staticmethod
    def _write(file: Path, content: bytes) -> None:
        """Whole or not at all, and readable by its owner only."""
        unfinished = file.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        unfinished.write_bytes(content)
        unfinished.replace(file)
