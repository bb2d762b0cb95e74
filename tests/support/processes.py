"""Processes of a test: started with a pipe, killed, and waited for by the kernel's word."""

import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def python(code: str, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Run `code` with the project on its path; its standard output and input are pipes."""
    return start(sys.executable, "-c", code, *arguments, environ=environ)


def start(*command: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


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
