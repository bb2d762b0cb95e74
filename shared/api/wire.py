"""A reply on its way out: status, headers and body as ASGI messages, conditions of GET included."""

from typing import Any, Final

from litestar.types import Receive, Scope, Send

from shared.api.answers import Reply
from shared.api.conditional import not_modified

JSON: Final = (b"content-type", b"application/json")


class Outgoing:
    """An ASGI application that sends one complete answer; HEAD gets the headers only."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.status not in (204, 304):
            self.headers.append((b"content-length", str(len(self.body)).encode()))
        body = b"" if scope.get("method") == "HEAD" else self.body
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def outgoing(reply: Reply[Any], known: str | None) -> Outgoing:
    """The reply as it is sent: 304 without a body when `known`, the client's If-None-Match, names its entity tag."""
    headers = [(name.lower().encode(), text.encode("latin-1")) for name, text in reply.headers]
    if known is not None and reply.status == 200:
        tag = next((text for name, text in reply.headers if name == "ETag"), None)
        if tag and not_modified(known, tag):
            return Outgoing(304, headers, b"")
    if reply.body and not any(name == b"content-type" for name, _ in headers):
        headers.append(JSON)
    return Outgoing(reply.status, headers, reply.body)
