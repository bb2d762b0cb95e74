"""What processes are asked to compute in tests: functions of a module's top level, which a fresh interpreter can find."""

import os
import signal
import sys
from pathlib import Path


def square(number: int) -> int:
    return number * number


def chatty(number: int) -> int:
    print("this is no answer")  # noqa: T201 - what is printed must not be taken for the answer
    return number


def whoami(_: object) -> tuple[int, list[str], int]:
    """The process, its environment, its niceness."""
    return os.getpid(), sorted(os.environ), os.nice(0)


def large(size: int) -> bytes:
    return b"x" * size


def fail(secret: str) -> None:
    raise ValueError(secret)


def die(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(mark: str) -> str:
    """The first time that it is asked, as a process does that ends of age just then."""
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def for_ever(mark: str) -> None:
    """Busy, after it has said which process this is."""
    Path(mark).write_text(str(os.getpid()), encoding="utf-8")
    while True:
        pass


def deaf(mark: str) -> None:
    """The same in one call that lets no other thread of its process have a turn."""
    Path(mark).write_text(str(os.getpid()), encoding="utf-8")
    sum(range(10**14))


def together(folder: str) -> int:
    """How many compute at the same moment, as far as this one sees."""
    own = Path(folder) / str(os.getpid())
    own.touch()
    seen = 0
    for _ in range(20):
        seen = max(seen, len(list(Path(folder).iterdir())))
        sum(range(100_000))
    own.unlink()
    return seen


def loaded(_: object) -> list[str]:
    return sorted(name for name in sys.modules if name.split(".")[0] in {"litestar", "sqlalchemy", "entrypoints"})
