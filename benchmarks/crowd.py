"""Clients in a process of their own, so that their CPU is not counted: `python -m benchmarks.crowd` obeys one order per line."""

import asyncio
import sys
from collections.abc import Mapping
from functools import partial
from itertools import cycle, islice
from time import monotonic
from typing import Final

import msgspec

from benchmarks.measure import each

IDLE_S: Final = 3.0
"""A connection that was idle for longer is not used again: the server may be closing it."""


class Order(msgspec.Struct):
    """`number` GET requests for the `paths` in turn, `at_once` at a time. The answer is how long each took, in microseconds."""

    port: int
    paths: list[str]
    number: int
    at_once: int
    headers: dict[str, str] = {}


class Client:
    """One connection that is kept alive."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.used = monotonic()

    async def get(self, path: str, headers: Mapping[str, str]) -> None:
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._writer.write(f"GET {path} HTTP/1.1\r\nhost: shop.example\r\n{more}\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise ConnectionError(head.decode())
        await self._reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
        self.used = monotonic()

    def close(self) -> None:
        self._writer.close()


def still_open(clients: list[Client]) -> list[Client]:
    now = monotonic()
    for client in clients:
        if now - client.used > IDLE_S:
            client.close()
    return [client for client in clients if now - client.used <= IDLE_S]


async def ask(idle: list[Client], path: str, headers: Mapping[str, str]) -> None:
    client = idle.pop()
    await client.get(path, headers)
    idle.append(client)


async def main() -> None:
    kept: dict[int, list[Client]] = {}
    for line in iter(sys.stdin.readline, ""):
        order = msgspec.json.decode(line, type=Order)
        idle = kept[order.port] = still_open(kept.get(order.port, []))
        while len(idle) < order.at_once:
            idle.append(Client(*await asyncio.open_connection("127.0.0.1", order.port)))

        works = (partial(ask, idle, path, order.headers) for path in islice(cycle(order.paths), order.number))
        took = await each(works, order.at_once)
        sys.stdout.write(msgspec.json.encode([round(seconds * 1e6) for seconds in took]).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
