"""Clients in a process of their own, so that their CPU is not counted: `python -m benchmarks.crowd` obeys one order per line."""

import asyncio
import json
import sys
from functools import partial
from itertools import cycle, islice

from benchmarks.measure import each


class Client:
    """One connection that is kept alive."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def get(self, path: str) -> None:
        self._writer.write(f"GET {path} HTTP/1.1\r\nhost: shop.example\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise ConnectionError(head.decode())
        await self._reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))


async def ask(idle: list[Client], path: str) -> None:
    client = idle.pop()
    await client.get(path)
    idle.append(client)


async def main() -> None:
    kept: dict[int, list[Client]] = {}
    for line in iter(sys.stdin.readline, ""):
        port, paths, number, at_once = json.loads(line)
        idle = kept.setdefault(port, [])
        while len(idle) < at_once:
            idle.append(Client(*await asyncio.open_connection("127.0.0.1", port)))

        await each((partial(ask, idle, path) for path in islice(cycle(paths), number)), at_once)
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
