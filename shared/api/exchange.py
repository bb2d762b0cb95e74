"""One request and its answer on the wire: counts what comes in, adds to what goes out the headers that every answer has."""

import asyncio
from time import perf_counter
from typing import Final

from litestar.types import HTTPScope, Message, Receive, ReceiveMessage, Send

from shared.api.refusals import BodyTooLarge, ClientGone, SlowRequest
from shared.api.versioning import CURRENT
from shared.domain.context import Context

SECURITY_HEADERS: Final = (
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
API_POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


EXCHANGE: Final = "exchange"
"""Where the scope's state has it, for what is decided behind the router."""


class Exchange:
    __slots__ = (
        "_arrival_s",
        "_complete",
        "_extra",
        "_late_at",
        "_limit",
        "_read",
        "_receive",
        "_send",
        "began",
        "context",
        "development",
        "scope",
        "started",
        "status",
        "version",
    )

    def __init__(
        self,
        scope: HTTPScope,
        receive: Receive,
        send: Send,
        context: Context,
        limit: int,
        began: float,
        *,
        arrival_s: float,
        development: bool,
    ) -> None:
        self.scope = scope
        scope["state"][EXCHANGE] = self
        self.context = context
        self.began = began
        self.development = development
        self.version = CURRENT
        self.status = 500
        self.started = False
        self._receive = receive
        self._send = send
        self._limit = limit
        self._arrival_s = arrival_s
        self._late_at: float | None = None
        self._read = 0
        self._complete = False
        self._extra: list[tuple[bytes, bytes]] = []

    def add(self, name: bytes, value: bytes) -> None:
        """A header that the answer shall carry, whatever it will be."""
        self._extra.append((name, value))

    @property
    def route(self) -> str | None:
        """The template of the route, such as `/v1/products/{product_id}`: as many values as there are routes."""
        return self.scope.get("path_template")

    async def receive(self) -> ReceiveMessage:
        """Raises BodyTooLarge when more was sent than is read, ClientGone when the body ends before its time, SlowRequest when it is
        not there in time."""
        message = await (self._receive() if self._complete else self._in_time())
        if message["type"] == "http.request":
            self._read += len(message["body"])
            self._complete = not message.get("more_body", False)
            if self._read > self._limit:
                raise BodyTooLarge("the body is larger than 1 MiB")
        elif not self._complete:
            raise ClientGone("the connection was closed before the body was complete")
        return message

    async def _in_time(self) -> ReceiveMessage:
        if self._late_at is None:
            self._late_at = asyncio.get_running_loop().time() + self._arrival_s
        try:
            async with asyncio.timeout_at(self._late_at):
                return await self._receive()
        except TimeoutError:
            raise SlowRequest(f"the body was not complete within {self._arrival_s:g} s") from None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.started = True
            message["headers"] = self._headers(list(message["headers"]))
        await self._send(message)

    def _headers(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        names = {name for name, _ in headers}
        headers += SECURITY_HEADERS
        headers += self._extra
        headers += (b"api-version", self.version.encode()), (b"trace-id", self.context.trace_id.encode())
        if b"content-security-policy" not in names:
            headers.append(API_POLICY)
        if b"cache-control" not in names:
            public = self.status < 400 and self.context.principal.kind == "anonymous"
            headers.append((b"cache-control", b"no-cache" if public else b"no-store"))
        if self.development:
            headers.append((b"server-timing", self._timing()))
        return headers

    def _timing(self) -> bytes:
        total = (perf_counter() - self.began) * 1000
        context = self.context
        return f'total;dur={total:.2f}, sql;dur={context.sql_seconds * 1000:.2f};desc="{context.sql_count} statements"'.encode()


def exchange_of(scope: HTTPScope) -> Exchange:
    exchange: Exchange = scope["state"][EXCHANGE]
    return exchange
