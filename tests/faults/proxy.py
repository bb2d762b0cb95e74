"""A wire between a client and Postgres that can be cut, just before or just after COMMIT reaches the server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

Cut = Literal["before", "after"]

ASKS_FOR_TLS = (80877103).to_bytes(4)


class Proxy:
    """Knows of Postgres' protocol that a message is a type, a length and a body, and that `Q` is a statement.

    `cut` applies to the next COMMIT of any connection. `refuses` closes every new connection at once.
    """

    def __init__(self, server_url: str) -> None:
        self._server = urlsplit(server_url)
        self._wires: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server
        self._carrying: set[_Wire] = set()
        self.cut: Cut | None = None
        self.refuses = False
        self.refuses_after_cut = False
        self.cuts = 0

    @property
    def url(self) -> str:
        port = self._listener.sockets[0].getsockname()[1]
        user = self._server.netloc.rpartition("@")[0]
        return self._server._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()

    def swallow(self) -> int:
        """From now on the wires that there are carry nothing any more, and nobody is told: as when a machine behind them has lost its
        power. Answers how many there are; new ones are as good as ever.
        """
        for wire in self._carrying:
            wire.dead = True
        return len(self._carrying)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield self
        finally:
            self._listener.close()
            for wire in self._wires:
                wire.cancel()
            await asyncio.gather(*self._wires, return_exceptions=True)

    async def _connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        wire = asyncio.current_task()
        assert wire is not None
        self._wires.add(wire)
        try:
            async with _closing(to_client):
                if self.refuses:
                    return
                server, to_server = await asyncio.open_connection(self._server.hostname, self._server.port)
                async with _closing(to_server):
                    carrying = _Wire(self, client, to_client, server, to_server)
                    self._carrying.add(carrying)
                    try:
                        await carrying.carry()
                    finally:
                        self._carrying.discard(carrying)
        except asyncio.CancelledError:
            pass  # the streams' own callback would report it as a fault
        finally:
            self._wires.discard(wire)


class _Wire:
    def __init__(
        self,
        proxy: Proxy,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._to_client = to_client
        self._server = server
        self._to_server = to_server
        self.dead = False
        self._deaf = False
        self._answered = asyncio.Event()

    async def carry(self) -> None:
        """Until either side has ended; the other is then ended too."""
        pumps = [asyncio.create_task(self._up()), asyncio.create_task(self._down())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _up(self) -> None:
        """What the client says, message by message; they have no type until the session is started."""
        typed = 0
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self._client.readexactly(typed + 4)
                body = await self._client.readexactly(int.from_bytes(head[typed:]) - 4)
                typed = int(body != ASKS_FOR_TLS)
                if self.dead:
                    continue
                if head[:1] == b"Q" and body.rstrip(b"\0") == b"COMMIT" and (cut := self._proxy.cut) is not None:
                    return await self._sever(cut, head + body)
                self._to_server.write(head + body)
                await self._to_server.drain()

    async def _down(self) -> None:
        """What the server says; swallowed, but awaited, after a cut."""
        with suppress(ConnectionError):
            while data := await self._server.read(65_536):
                if self._deaf:
                    self._answered.set()
                elif not self.dead:
                    self._to_client.write(data)
                    await self._to_client.drain()

    async def _sever(self, cut: Cut, commit: bytes) -> None:
        self._proxy.cut = None
        self._proxy.cuts += 1
        self._proxy.refuses = self._proxy.refuses_after_cut
        self._deaf = True
        if cut == "after":
            self._to_server.write(commit)
            await self._to_server.drain()
            await self._answered.wait()
        self._to_client.transport.abort()


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
