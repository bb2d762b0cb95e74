"""A wire to Redis on which anything may happen to a command: late, lost, done without an answer, or done when nobody waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from urllib.parse import urlsplit

LONGEST_S = 0.01


class Wire:
    """`trouble` is the share of commands that are not just carried; `random` chooses which, and what becomes of them."""

    def __init__(self, server_url: str, random: Random) -> None:
        self._server = urlsplit(server_url)
        self._random = random
        self._under_way: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server
        self.trouble = 0.0

    @property
    def url(self) -> str:
        port = self._listener.sockets[0].getsockname()[1]
        return self._server._replace(netloc=f"{self._server.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Wire"]:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield self
        finally:
            self._listener.close()
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        wire = asyncio.current_task()
        assert wire is not None
        self._under_way.add(wire)
        wire.add_done_callback(self._under_way.discard)
        server, to_server = await asyncio.open_connection(self._server.hostname, self._server.port)
        back = asyncio.create_task(self._carry_back(server, to_client))
        self._under_way.add(back)
        back.add_done_callback(self._under_way.discard)
        try:
            while command := await client.read(65536):
                if self._random.random() >= self.trouble:
                    to_server.write(command)
                elif not await self._trouble(command, to_client, to_server):
                    return
        except (ConnectionError, asyncio.CancelledError):
            pass  # the streams' own callback would report it as a fault
        finally:
            to_client.close()
            to_server.close()

    async def _trouble(self, command: bytes, to_client: asyncio.StreamWriter, to_server: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        match self._random.choice(("late", "late", "lost", "done without an answer", "done when nobody waits")):
            case "late":
                await self._while()
                to_server.write(command)
                return True
            case "done without an answer":
                to_client.close()
                to_server.write(command)
                await to_server.drain()
            case "done when nobody waits":
                to_client.close()
                await self._while()
                to_server.write(command)
                await to_server.drain()
        return False

    async def _carry_back(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            while answer := await server.read(65536):
                to_client.write(answer)
        except (ConnectionError, asyncio.CancelledError):
            pass

    async def _while(self) -> None:
        await asyncio.sleep(self._random.random() * LONGEST_S)
