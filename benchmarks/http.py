"""HTTP as it is served in production, to applications of this process and of others, from clients of yet another."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal

import msgspec
import uvicorn

from benchmarks.asgi import App
from benchmarks.crowd import Order
from benchmarks.measure import Window

LONGEST_ANSWER: Final = 2**22


class Clients:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, order: Order) -> list[float]:
        """How long each request took, in seconds."""
        orders, answers = self._process.stdin, self._process.stdout
        if orders is None or answers is None:
            raise ValueError("the clients are reached through pipes")
        orders.write(msgspec.json.encode(order) + b"\n")
        answer = await answers.readline()
        if not answer:
            raise ConnectionError("the clients have given up")
        return [microseconds / 1e6 for microseconds in msgspec.json.decode(answer, type=list[int])]

    def asking(self, port: int, paths: Sequence[str], number: int, at_once: int, headers: Mapping[str, str] | None = None) -> Window:
        """So many GET requests, so many at a time."""
        order = Order(port, list(paths), number, at_once, dict(headers or {}))

        async def window() -> None:
            await self.ask(order)

        return window


@asynccontextmanager
async def clients() -> AsyncIterator[Clients]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.crowd", stdin=pipe, stdout=pipe, limit=LONGEST_ANSWER)
    try:
        yield Clients(process)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@asynccontextmanager
async def served(app: App, http: type[asyncio.Protocol] | Literal["httptools"] = "httptools") -> AsyncIterator[int]:
    """The port of a server in this loop, set up as entrypoints/serving.py sets it up; the lifespan is the caller's."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        config = uvicorn.Config(
            app, http=http, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False, proxy_headers=False,
        )  # fmt: skip
        server = uvicorn.Server(config)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve([listener]))
            try:
                yield int(listener.getsockname()[1])
            finally:
                server.should_exit = True
                await serving
