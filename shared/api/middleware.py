"""The edge: everything that every request goes through, in one pass around the router.

In order: a place, trace, size and host limits, version, CORS, caller, deadline, the route with its rate limit; on the way back security
headers and one log line. Each is a small function; a request pays a few microseconds for all of them.
"""

import asyncio
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from logging import ERROR, INFO, WARNING
from time import perf_counter
from typing import Any, Final, Protocol, TypeGuard

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from shared.api.admission import Admission
from shared.api.auth import identify
from shared.api.exchange import API_POLICY, SECURITY_HEADERS, Exchange
from shared.api.failures import refusal_of
from shared.api.problems import ProblemWriter
from shared.api.refusals import BodyTooLarge, DeadlineExceeded, Fault, HeadersTooLarge, HostRefused, InvalidRequest, Overloaded
from shared.api.tracing import ServerSpan, Spans, begin_trace, continued
from shared.api.versioning import CURRENT, negotiate
from shared.api.wire import Outgoing
from shared.domain.authentication import Authenticator
from shared.domain.context import Context, begin, current
from shared.domain.errors import DomainError

MAX_HEADER_BYTES: Final = 16 * 1024
MAX_HEADERS: Final = 100
MAX_BODY_BYTES: Final = 1024 * 1024
CORS_SECONDS: Final = b"600"
EXPOSED: Final = b"ETag, Link, Location, Retry-After, Trace-Id, Api-Version, Idempotent-Replayed, RateLimit, RateLimit-Policy"

PROBES: Final = "/health/"
NO_STORE: Final = (b"cache-control", b"no-store")
UNMATCHED: Final = "(unmatched)"

_READ_HERE: Final = {
    name.encode(): name
    for name in (
        "host",
        "authorization",
        "cart-token",
        "traceparent",
        "api-version",
        "origin",
        "content-length",
        "if-match",
        "if-none-match",
    )
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_log = structlog.get_logger("tenon.access")


class Meter(Protocol):
    def __call__(self, method: str, route: str, status: int, seconds: float, context: Context) -> None:
        """One request is over. `route` is its template, or UNMATCHED."""


def nobody(method: str, route: str, status: int, seconds: float, context: Context) -> None:
    """Measures nothing."""


@dataclass(frozen=True, kw_only=True)
class EdgeOptions:
    """`hosts` empty admits any Host header; `origins` are the exact web origins that may read answers.

    While `stopping`, a request that is cancelled is answered all the same.
    `deadline_s` is for all of a request, `arrival_s` for its body to arrive.
    `rate_scale` multiplies every rate limit; `proxies` of our own stand between clients and this process.
    `spans` answers None while nobody wants them; then `trace_ratio`, the share of traces that are begun here and recorded, is void.
    """

    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()
    deadline_s: float = 15.0
    arrival_s: float = 10.0
    development: bool = False
    rate_scale: float = 1.0
    proxies: int = 0
    admission: Admission = field(default_factory=Admission)
    spans: Callable[[], Spans | None] = lambda: None
    trace_ratio: float = 0.0
    meter: Meter = nobody
    stopping: Callable[[], bool] = lambda: False


class Edge:
    """An ASGI application around the router's."""

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, problems: ProblemWriter, options: EdgeOptions, methods: Mapping[str, str]
    ) -> None:
        self._app = app
        self._methods = methods
        self._authenticator = authenticator
        self._problems = problems
        self._hosts = frozenset(host.lower() for host in options.hosts)
        self._origins = frozenset(options.origins)
        self._deadline_s = options.deadline_s
        self._arrival_s = options.arrival_s
        self._admission = options.admission
        self._tells_at = 0.0
        self._development = options.development
        self._spans = options.spans
        self._trace_ratio = options.trace_ratio
        self._meter = options.meter
        self._stopping = options.stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_http(scope):
            await self._app(scope, receive, send)
        elif scope["path"].startswith(PROBES):
            await self._serve(scope, receive, send)
        elif self._admission.enter(reads=scope["method"] in ("GET", "HEAD")):
            try:
                await self._serve(scope, receive, send)
            finally:
                self._admission.leave()
        else:
            await self._turn_away(scope, receive, send)

    async def _turn_away(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Nothing is read and no line written for a request for which there is no place: who refuses slowly has no time to serve."""
        trace_id = os.urandom(16).hex()
        refusal = Overloaded("too many requests are under way; nothing was done")
        problem = self._problems.write(refusal, instance=scope["path"], trace_id=trace_id)
        headers = [*problem.headers, *SECURITY_HEADERS, API_POLICY, NO_STORE]
        headers += (b"api-version", CURRENT.encode()), (b"trace-id", trace_id.encode())
        if self._origins:
            headers += self._cors(next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), None))
        self._meter(scope["method"], UNMATCHED, problem.status, 0.0, current())
        if (now := perf_counter()) >= self._tells_at:
            self._tells_at = now + 1.0
            _log.warning("overloaded", refused=self._admission.refused, under_way=self._admission.under_way)
        await Outgoing(problem.status, headers, problem.body)(scope, receive, send)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        headers, size, repeated = read_headers(scope)
        context, span = self._begin(scope, headers.get("traceparent"))
        exchange = Exchange(
            scope, receive, send, context, MAX_BODY_BYTES, perf_counter(), arrival_s=self._arrival_s, development=self._development
        )
        try:
            async with asyncio.timeout(self._deadline_s):
                if await self._admit(exchange, headers, size, repeated):
                    send_on = self._with_allow(exchange) if scope["method"] == "OPTIONS" else exchange.send
                    await self._app(scope, exchange.receive, send_on)
        except TimeoutError:
            await self._refuse(exchange, DeadlineExceeded(f"no answer within {self._deadline_s:g} s"))
        except asyncio.CancelledError:
            if not self._stopping():
                exchange.status = 499
                raise
            if not exchange.started:
                await self._refuse(exchange, DeadlineExceeded("the process ends and cannot wait for the answer any more"))
        except Exception as error:  # noqa: BLE001 - the outermost door: logged with its stack, answered as a bare 500
            await self._refuse(exchange, refusal_of(error))
        finally:
            self._meter(scope["method"], exchange.route or UNMATCHED, exchange.status, perf_counter() - exchange.began, context)
            log_request(exchange)
            if span is not None:
                span.end(exchange.route, exchange.status)

    def _begin(self, scope: HTTPScope, traceparent: str | None) -> tuple[Context, ServerSpan | None]:
        spans, caller = self._spans(), continued(traceparent)
        context = begin_trace(caller, self._deadline_s, self._trace_ratio if spans else 0.0)
        begin(context)
        return context, spans.serve(context, caller, scope["method"], scope["path"]) if spans and context.sampled else None

    async def _admit(self, exchange: Exchange, headers: dict[str, str], size: int, repeated: str | None) -> bool:
        """Whether the request goes on to its route; otherwise it has been answered."""
        scope = exchange.scope
        try:
            check_shape(scope, size, repeated)
            check_length(headers.get("content-length"))
            if self._hosts and not scope["path"].startswith(PROBES):
                check_host(headers.get("host"), self._hosts)
            exchange.version = negotiate(headers.get("api-version"))
            if self._origins:
                origin = headers.get("origin")
                for name, value in self._cors(origin):
                    exchange.add(name, value)
                if scope["method"] == "OPTIONS" and origin in self._origins:
                    await answer_preflight(exchange)
                    return False
            exchange.context.principal = await identify(self._authenticator, headers.get("authorization"), headers.get("cart-token"))
        except DomainError as refusal:
            await self._refuse(exchange, refusal)
            return False
        return True

    def _cors(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        if not origin or origin not in self._origins:
            return [(b"vary", b"Origin")]
        allowed = (b"access-control-allow-origin", origin.encode("latin-1"))
        return [(b"vary", b"Origin"), allowed, (b"access-control-expose-headers", EXPOSED)]

    def _with_allow(self, exchange: Exchange) -> Send:
        async def send(message: Message) -> None:
            if message["type"] == "http.response.start" and (allow := self._methods.get(exchange.scope.get("path_template", ""))):
                message["headers"] = [(b"allow", allow.encode())]
            await exchange.send(message)

        return send

    async def _refuse(self, exchange: Exchange, refusal: DomainError) -> None:
        if exchange.started:
            exchange.status = HTTPStatus.INTERNAL_SERVER_ERROR
            raise RuntimeError("the answer had begun when it failed") from refusal
        problem = self._problems.write(refusal, instance=exchange.scope["path"], trace_id=exchange.context.trace_id)
        await Outgoing(problem.status, list(problem.headers), problem.body)(exchange.scope, exchange.receive, exchange.send)


def is_http(scope: Scope) -> TypeGuard[HTTPScope]:
    return scope["type"] == ScopeType.HTTP


def read_headers(scope: HTTPScope) -> tuple[dict[str, str], int, str | None]:
    """The headers that matter here, the size of the request's head, and the name of one that was sent twice."""
    size = len(scope["path"]) + len(scope["query_string"])
    found: dict[str, str] = {}
    repeated = None
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        known = _READ_HERE.get(name)
        if known is not None:
            if known in found:
                repeated = known
            found[known] = value.decode("latin-1")
    return found, size, repeated


def check_shape(scope: HTTPScope, size: int, repeated: str | None) -> None:
    """One meaning for every request: no header twice that decides something, no control character in the path."""
    if size > MAX_HEADER_BYTES:
        raise HeadersTooLarge("request line and headers are larger than 16 KiB together")
    if len(tuple(scope["headers"])) > MAX_HEADERS:
        raise HeadersTooLarge(f"there are more than {MAX_HEADERS} headers")
    if repeated is not None:
        raise InvalidRequest([Fault(code="repeated", detail="sent more than once", parameter=repeated.title())])
    if _CONTROL.search(scope["path"]):
        raise InvalidRequest([Fault(code="wrong_format", detail="the path has a control character", parameter="path")])


def check_length(content_length: str | None) -> None:
    """What is announced as too large is not even read; what is sent is counted all the same."""
    if content_length is not None and content_length.isdigit() and int(content_length[:20]) > MAX_BODY_BYTES:
        raise BodyTooLarge("the body is larger than 1 MiB")


def check_host(host: str | None, allowed: frozenset[str]) -> None:
    name = (host or "").lower()
    if name not in allowed and name.rpartition(":")[0] not in allowed:
        raise HostRefused("this server does not answer for that host")


async def answer_preflight(exchange: Exchange) -> None:
    exchange.add(b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE")
    exchange.add(
        b"access-control-allow-headers",
        b"Authorization, Cart-Token, Content-Type, Idempotency-Key, If-Match, If-None-Match, Api-Version, Traceparent",
    )
    exchange.add(b"access-control-max-age", CORS_SECONDS)
    await Outgoing(204, [], b"")(exchange.scope, exchange.receive, exchange.send)


def log_request(exchange: Exchange) -> None:
    """One line: what was called, how it ended, what it cost. No body, no cookie, no value of a query."""
    context, status = exchange.context, exchange.status
    fields: dict[str, Any] = {
        "trace_id": context.trace_id,
        "method": exchange.scope["method"],
        "route": exchange.route or UNMATCHED,
        "status": status,
        "ms": round((perf_counter() - exchange.began) * 1000, 2),
        **context.cost(),
        "principal": context.principal.scope,
        **context.log,
    }
    _log.log(ERROR if status == 500 else WARNING if status > 500 else INFO, "request", **fields)
    for repeat in context.repeats():
        called = {"method": fields["method"], "route": fields["route"]}
        _log.warning("n_plus_one", **called, statement=repeat.statement, count=repeat.count, at=repeat.at)
