"""HTTP as it is served in production, to applications of this process and from clients of another."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import uvicorn

from benchmarks.asgi import App
from benchmarks.measure import Window


class Clients:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def asking(self, port: int, paths: Sequence[str], number: int, at_once: int) -> Window:
        """So many GET requests, so many at a time."""
        order = json.dumps([port, list(paths), number, at_once]).encode() + b"\n"

        async def window() -> None:
            orders, answers = self._process.stdin, self._process.stdout
            if orders is None or answers is None:
                raise ValueError("the clients are reached through pipes")
            orders.write(order)
            if await answers.readline() != b"done\n":
                raise ConnectionError("the clients have given up")

        return window


@asynccontextmanager
async def clients() -> AsyncIterator[Clients]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.crowd", stdin=pipe, stdout=pipe)
    try:
        yield Clients(process)
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def served(app: App) -> AsyncIterator[int]:
    """The port of a server in this loop, set up as entrypoints/serving.py sets it up; the lifespan is the caller's."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        config = uvicorn.Config(app, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False, server_header=False)
        server = uvicorn.Server(config)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve([listener]))
            try:
                yield int(listener.getsockname()[1])
            finally:
                server.should_exit = True
                await serving
