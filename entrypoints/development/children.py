"""Child processes that end with this one, and the account and the temporary folder that a server of ours needs."""

import contextlib
import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LINUX: Final = sys.platform == "linux"
LIBC: Final = ctypes.CDLL(None)  # loaded now: in the child, after setuid, nothing may be readable any more
PR_SET_PDEATHSIG: Final = 1
STARTS: Final = 5
SHORT_PLACE: Final = "/tmp"  # noqa: S108 - the path of a unix socket has at most 107 bytes; TMPDIR may be longer than that


class ServerFailed(RuntimeError):
    """A server did not start; the message ends with what it logged."""


class Transient(ServerFailed):
    """A port was taken in between, or processes of a dead predecessor are still leaving: another start may succeed."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system account that Postgres runs as. It refuses to be root, so root lends it an existing account."""

    uid: int
    gid: int

    @classmethod
    def unprivileged(cls) -> "Account | None":
        """None when this process is unprivileged already."""
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_uid, entry.pw_gid)
        raise ServerFailed("Postgres does not run as root, and there is neither an account 'postgres' nor 'nobody' to run it as")

    def reaches(self, path: Path) -> bool:
        """Whether it may execute or enter `path`, asked of the kernel by a process of that account."""
        question = ["/bin/sh", "-c", 'test -x "$0"', str(path)]
        asked = subprocess.run(question, user=self.uid, group=self.gid, extra_groups=[], cwd="/", check=False)
        return asked.returncode == 0


class Child:
    """A server process that ends with this one, also when this one is killed with -9.

    The kernel sends the death signal when the *thread* that forked ends: start servers from the main thread.
    """

    def __init__(self, command: Sequence[str | Path], log: Path, *, account: Account | None, death: signal.Signals) -> None:
        self.log = log
        self._program = command[0]
        with log.open("ab") as sink:
            self._from = sink.tell()
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd="/",
                start_new_session=True,  # Ctrl-C in the terminal is for this process, which then stops its servers in order
                preexec_fn=_dies_with(os.getpid(), death) if LINUX else None,  # noqa: PLW1509 - two system calls, no lock
                user=account.uid if account else None, group=account.gid if account else None, extra_groups=[] if account else None,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool], timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not ready():
            if self._process.poll() is not None:
                raise self._failure(f"exited with {self._process.returncode}")
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready after {timeout_s:.0f} s")
            time.sleep(0.02)

    def ask(self, number: signal.Signals) -> None:
        """Send it a signal, and do not wait."""
        self._process.send_signal(number)

    def wait_until_ended(self, timeout_s: float = 60.0) -> int:
        """The status that it ends with by itself; raises ServerFailed when it does not."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise self._failure(f"had not ended after {timeout_s:.0f} s") from None

    def wait_until_done(self) -> None:
        try:
            status = self._process.wait(120)
        except BaseException:
            self.stop()
            raise
        if status != 0:
            raise self._failure(f"exited with {status}")

    def stop(self, *signals: signal.Signals) -> None:
        """Ask with each signal in turn and wait up to 10 s for it to work; the last resort is SIGKILL, also for its children."""
        for number in signals:
            if self._process.poll() is not None:
                return
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # it leads a group of its own
            self._process.wait()

    def _failure(self, what: str) -> ServerFailed:
        with self.log.open("rb") as log:
            log.seek(self._from)
            said = log.read()[-2000:].decode(errors="replace")
        transient = ("Address already in use" in said) or ("still in use" in said)
        return (Transient if transient else ServerFailed)(f"{self._program} {what}:\n{said}")


def _dies_with(parent: int, death: signal.Signals) -> Callable[[], None]:
    def ask_the_kernel() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, int(death))  # survives exec, and is asked after setuid, which would clear it
        if os.getppid() != parent:
            os._exit(1)

    return ask_the_kernel


def attempt(launch: Callable[[], None]) -> None:
    """Launch, and launch again while the reason for a failure is one that passes."""
    for _ in range(STARTS - 1):
        try:
            launch()
        except Transient:
            time.sleep(0.5)
        else:
            return
    launch()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Scratch:
    """A temporary folder that is removed with its owner; what killed owners left is removed by the next one that comes."""

    PREFIX: Final = "tenon-server-"

    def __init__(self, account: Account | None) -> None:
        self._sweep()
        self.path = Path(tempfile.mkdtemp(prefix=self.PREFIX, dir=SHORT_PLACE))
        self._lock = (self.path / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        if account is not None:
            os.chown(self.path, account.uid, account.gid)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    @classmethod
    def _sweep(cls) -> None:
        for path in Path(SHORT_PLACE).glob(f"{cls.PREFIX}*"):
            with contextlib.suppress(OSError):  # not ours, still locked, or just removed by another
                young = path.stat().st_mtime > time.time() - 60
                with (path / "lock").open("r+") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if not young:
                        shutil.rmtree(path, ignore_errors=True)


def end_with_parent() -> None:
    """Be asked to end when the process that started this one ends, however it does."""
    if LINUX:
        parent = os.getppid()
        LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
