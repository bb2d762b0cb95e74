"""HTTP/1.1 on one connection, within bounds: what comes in may be neither too large nor too slow, whatever the application does."""

from asyncio import BaseTransport, Protocol, TimerHandle, Transport
from collections.abc import Callable
from functools import partial
from os import urandom
from typing import Any, Final, Literal, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from shared.api.exchange import API_POLICY, SECURITY_HEADERS
from shared.api.middleware import MAX_HEADER_BYTES, MAX_HEADERS
from shared.api.problems import ProblemWriter
from shared.api.refusals import HeadersTooLarge, NotHttp, SlowRequest
from shared.domain.errors import DomainError

MAX_HEAD_BYTES: Final = MAX_HEADER_BYTES + 4 * MAX_HEADERS + 256
"""With what stands between the headers, and the protocol's own words: the edge, which counts exactly, is the first to refuse."""

GRACE: Final = 1.5
"""So much longer than the edge the connection waits for a body: the edge's answer has then been sent."""


class BoundedProtocol(HttpToolsProtocol):
    """The head of a request has `arrival_s` to arrive, from when the connection is there or the first byte is. Its body has the
    edge's time, and is cut off a little later, also when the answer was sent before it was complete. What arrives at once, as most
    requests do, costs no timer.
    """

    def __init__(self, *arguments: Any, arrival_s: float, problems: ProblemWriter, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._arrival_s = arrival_s
        self._problems = problems
        self._arriving: Literal["head", "body"] | None = "head"
        self._timed: Literal["head", "body"] | None = None
        self._timer: TimerHandle | None = None
        self._head_bytes = 0

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Transport", transport))
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arriving = None
        self._watch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._arriving != "body":
            self._head_bytes += len(data)
        super().data_received(data)
        if self._arriving == "head" and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(HeadersTooLarge("the headers are larger than 16 KiB together"))
        elif self._arriving != self._timed:
            self._watch()

    def on_message_begin(self) -> None:
        self._arriving = "head"
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._arriving, self._head_bytes = "body", 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._arriving = None
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Aborts, where closing would wait for a client that does not read."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        self._refuse(NotHttp("the request could not be read as HTTP/1.1"))

    def _watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timed = self._arriving
        if self._arriving is not None:
            seconds = self._arrival_s if self._arriving == "head" else GRACE * self._arrival_s
            self._timer = self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        if self._arriving == "head" and self._head_bytes:
            self._refuse(SlowRequest(f"the headers were not complete within {self._arrival_s:g} s"))
        else:
            self.transport.abort()

    def _refuse(self, refusal: DomainError) -> None:
        """Answers without the application, and closes; nothing is said in the middle of the answer to an earlier request."""
        self._arriving = None
        self._watch()
        earlier: RequestResponseCycle | None = self.cycle
        if earlier is not None and not earlier.response_complete:
            self.transport.abort()
        elif not self.transport.is_closing():
            problem = self._problems.write(refusal, instance="", trace_id=urandom(16).hex())
            headers = [*problem.headers, *SECURITY_HEADERS, API_POLICY, (b"cache-control", b"no-store"), (b"connection", b"close")]
            headers.append((b"content-length", str(len(problem.body)).encode()))
            head = b"".join(b"%b: %b\r\n" % field for field in dict(headers).items())
            self.transport.write(STATUS_LINE[problem.status] + head + b"\r\n" + problem.body)
            self.transport.close()


def bounded(arrival_s: float, problems: ProblemWriter) -> type[Protocol]:
    """What uvicorn makes a connection's protocol with."""
    made: Callable[..., Protocol] = partial(BoundedProtocol, arrival_s=arrival_s, problems=problems)
    return cast("type[Protocol]", made)
