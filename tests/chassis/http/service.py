"""A small HTTP service on 127.0.0.1 that does as a test says."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Seen:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    writer: asyncio.StreamWriter


def reply(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in {"content_length": str(len(body)), **headers}.items()]
    return "\r\n".join([f"HTTP/1.1 {status} X", *lines, "", ""]).encode() + body


async def fine(_: Seen) -> bytes:
    return reply(200, b"fine")


async def failing(_: Seen) -> bytes:
    return reply(503)


@dataclass
class Service:
    """`answer` is asked for the bytes of each reply; None: the connection is closed instead."""

    url: str
    answer: Callable[[Seen], Awaitable[bytes | None]] = fine
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    def script(self, *replies: bytes) -> None:
        """Answer with each of these in turn."""
        left = iter(replies)

        async def answer(_: Seen) -> bytes:
            return next(left)

        self.answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        self.connections += 1
        number = self.connections
        try:
            while seen := await _read(reader, writer, number):
                self.seen.append(seen)
                answered = await self.answer(seen)
                if answered is None:
                    break
                writer.write(answered)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client is gone, or the test is over
        finally:
            writer.close()
            self.serving.discard(task)


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> Seen | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    return Seen(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))), connection, writer)


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Service]:
    service = Service("")
    server = await asyncio.start_server(service.serve, host, 0, ssl=tls, backlog=1024)
    scheme = "https" if tls else "http"
    service.url = f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}"
    try:
        yield service
    finally:
        server.close()
        for task in list(service.serving):
            task.cancel()
        await asyncio.gather(*service.serving, return_exceptions=True)
