"""A server on a real socket, as entrypoints/serving.py sets it up, and a client that says what it likes as slowly as it likes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import uvicorn

from entrypoints.protocol import bounded
from shared.api.problems import ProblemWriter
from tests.chassis.api.tiny import PUBLIC_URL

SOON_S: Final = 0.2
LONG_S: Final = 60.0
"""What never happens in a test."""


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, text: bytes) -> None:
        self._writer.write(text)
        with suppress(ConnectionError):
            await self._writer.drain()

    async def hear(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one answer."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        return int(line.split()[1]), headers, await self._reader.readexactly(int(headers.get("content-length", 0)))

    async def closed(self) -> bytes:
        """What came until the server has closed the connection."""
        heard = b""
        with suppress(ConnectionError):
            while data := await self._reader.read(65_536):
                heard += data
        return heard


@asynccontextmanager
async def served(app: Any, *, arrival_s: float = LONG_S, keep_alive_s: float = LONG_S) -> AsyncIterator[int]:
    """The port."""
    http = bounded(arrival_s, ProblemWriter(PUBLIC_URL))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, http=http, ws="none", lifespan="off", log_config=None, access_log=False)
        config.timeout_keep_alive = keep_alive_s  # type: ignore[assignment]  # any number of seconds will do
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield int(listener.getsockname()[1])
        finally:
            for request in tuple(server.server_state.tasks):
                request.cancel()
            server.should_exit = True
            await serving


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
