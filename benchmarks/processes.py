"""Servers in processes of their own: our application as it is started in production, and peers."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from benchmarks.measure import Clock, clock_of
from entrypoints.development.children import free_port
from shared.infra.config import process_environment

ROOT: Final = Path(__file__).resolve().parent.parent
PATIENCE_S: Final = 60.0


class NotServing(Exception):
    """A server did not answer in time; the message is what it said instead."""


@dataclass(frozen=True)
class Served:
    """`started_s` is how long it took from the start of the process to its first answer."""

    port: int
    pid: int
    started_s: float

    @property
    def clock(self) -> Clock:
        return clock_of(self.pid)

    def resident_mib(self) -> float:
        """What it holds in memory, as Linux counts it."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="utf-8").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@asynccontextmanager
async def serving(command: Sequence[str], environ: Mapping[str, str], port: int, path: str) -> AsyncIterator[Served]:
    """`command` serves on `port`, and is ready when it answers `path` with 200."""
    began = perf_counter()
    told = {name: value for name, value in process_environment().items() if not name.startswith(("TENON_", "OTEL_", "PYTEST_"))}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={**told, **environ}, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        await _ready(process, port, path)
        yield Served(port, process.pid, perf_counter() - began)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.communicate()


async def _ready(process: asyncio.subprocess.Process, port: int, path: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await _answers(port, path):
            if process.returncode is not None:
                _, said = await process.communicate()
                raise NotServing(said.decode()[-2000:])
            await asyncio.sleep(0.01)


async def _answers(port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(f"GET {path} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n".encode())
    try:
        return (await reader.readline()).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def tenon(environ: Mapping[str, str], number: int = 1) -> AsyncIterator[list[Served]]:
    """So many processes of `tenon serve`, started one after the other."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(number):
            port = free_port()
            told = {**environ, "TENON_METRICS_PORT": str(free_port())}
            command = [sys.executable, "-m", "entrypoints", "serve", "--port", str(port)]
            found.append(await stack.enter_async_context(serving(command, told, port, "/health/ready")))
        yield found
