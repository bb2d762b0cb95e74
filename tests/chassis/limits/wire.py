"""A wire to Redis that can be cut, or fall silent, and be mended again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

from redis.asyncio import Redis

from shared.infra.redis_pool import GuardedPool


def connected(url: str) -> Redis:
    """As shared/container.py connects."""
    return Redis.from_pool(GuardedPool.from_url(url, max_connections=8, timeout=0.5, socket_timeout=0.5, socket_connect_timeout=0.5))


class Wire:
    """`state` is that of what comes in from now on; `trips` counts what the client has sent, as it came in."""

    def __init__(self, server_url: str) -> None:
        self._server = urlsplit(server_url)
        self._listener: asyncio.Server
        self._open: set[asyncio.StreamWriter] = set()
        self.state: Literal["whole", "silent", "cut"] = "whole"
        self.trips = 0

    @property
    def url(self) -> str:
        who = self._server.netloc.rpartition("@")[0]
        return self._server._replace(netloc=f"{who}@127.0.0.1:{self._listener.sockets[0].getsockname()[1]}").geturl()

    @asynccontextmanager
    async def stretched(self) -> AsyncIterator["Wire"]:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield self
        finally:
            self._listener.close()
            self.cut()

    def cut(self) -> None:
        self.state = "cut"
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self.state == "cut":
            to_client.close()
            return
        server, to_server = await asyncio.open_connection(self._server.hostname, self._server.port)
        self._open |= {to_client, to_server}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(client, to_server, counted=True))
                group.create_task(self._carry(server, to_client, counted=False))
        finally:
            self._open -= {to_client, to_server}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                self.trips += counted
                if self.state == "whole":
                    writer.write(data)
                    await writer.drain()
        writer.close()
