"""Processes of a test: started with a pipe, killed, and waited for by the kernel's word."""

import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def program(name: str) -> str:
    """A command of this virtual environment."""
    return str(Path(sys.executable).with_name(name))


def python(code: str, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Run `code` with the project on its path; its standard output and input are pipes."""
    return start(sys.executable, "-c", code, *arguments, environ=environ)


def start(*command: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Standard error goes where standard output goes."""
    return subprocess.Popen(
        command, cwd=ROOT, env=_environment(environ), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def run(*command: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """To its end; both outputs in `stdout`."""
    return subprocess.run(
        command, cwd=ROOT, env=_environment(environ), text=True, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def _environment(environ: Mapping[str, str] | None) -> dict[str, str]:
    """Of the caller, without settings of Tenon and what pytest and make tell their children."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TENON_", "TEST_", "MAKE", "MFLAGS", "PYTEST_"))}
    return {**inherited, "PYTHONPATH": str(ROOT), **(environ or {})}


def kill(process: subprocess.Popen[str]) -> None:
    """With -9, and reaped."""
    process.kill()
    process.communicate()


def ends(pid: int, within_s: float = 20.0) -> bool:
    """Whether the process ends in time; it need not be a child of this one."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        readable, _, _ = select.select([descriptor], [], [], within_s)
        return bool(readable)
    finally:
        os.close(descriptor)
