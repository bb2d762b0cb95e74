"""Requests to an ASGI application in this process, without a socket."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

App = Any
"""An ASGI application: frameworks type its three parameters each in their own way."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def scope(self) -> dict[str, Any]:
        headers = {"host": "shop.example", **self.headers}
        if self.body:
            headers |= {"content-type": "application/json", "content-length": str(len(self.body))}
        return {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "https", "method": self.method,
            "path": self.path, "raw_path": self.path.encode(), "query_string": self.query, "root_path": "", "state": {},
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 40_000), "server": ("127.0.0.1", 443),
        }  # fmt: skip


class Refused(Exception):
    """A request that a benchmark counts on was not answered as it should be."""


async def send(app: App, request: Request) -> bytes:
    """The body of the answer; raises Refused unless it is a success."""
    parts: list[bytes] = []
    status = 0
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def take(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    await app(request.scope(), receive, take)
    body = b"".join(parts)
    if not 200 <= status < 300:
        raise Refused(f"{request.method} {request.path}: {status} {body.decode()}")
    return body
