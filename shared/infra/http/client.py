"""The HTTP client for calls to others: everything that may go wrong with them is bounded here."""

import asyncio
import re
import ssl
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from math import ceil
from time import monotonic
from typing import Final, Protocol

import httpx
import structlog
from stamina import retry_context

from shared.domain import guard
from shared.domain.context import current
from shared.domain.errors import Busy, Unavailable
from shared.domain.outbound import (
    NO_HEADERS,
    AddressRefused,
    Answer,
    AnswerRefused,
    DeadlineOver,
    Failing,
    Unanswered,
    Unreachable,
)
from shared.infra.http.addresses import PublicAddresses
from shared.infra.http.breaker import Breaker, BreakerPolicy, State
from shared.infra.http.bulkhead import Bulkhead
from shared.infra.http.retries import IDEMPOTENT, Retries, RetryBudget, RetryPolicy
from shared.infra.http.window import Monotonic
from shared.infra.tracing import traced

log = structlog.get_logger(__name__)

TARGETS: Final = 1024
"""Of how many targets the state is kept; only a client for URLs of users comes near."""


_HOST: Final = re.compile(rb"\A[a-z0-9._:-]+\Z")


class Listener(Protocol):
    def __call__(self, client: str, target: str, state: State) -> None: ...


def nobody(client: str, target: str, state: State) -> None:
    """Listens to no change of a breaker."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Bounds of one client. `total_s` holds for a call with its retries, where the work that calls has not less time."""

    total_s: float = 10.0
    attempt_s: float = 5.0
    connect_s: float = 1.0
    answer_bytes: int = 1 << 20
    places: int = 16
    queue: int = 32
    queue_s: float = 1.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)


class Target:
    """What is kept of one origin. Its connections are its own: what they cost httpx grows with the square of their number."""

    def __init__(self, name: str, policy: Policy, breaker: Breaker, transport: httpx.AsyncHTTPTransport, now: Monotonic) -> None:
        self.breaker = breaker
        self.transport = transport
        self.bulkhead = Bulkhead(name, places=policy.places, queue=policy.queue)
        self.budget = RetryBudget(policy.retry, now)

    @property
    def forgettable(self) -> bool:
        return self.bulkhead.idle and self.breaker.state == "closed"


class HttpClient:
    """Implements Outbound for the service called `name`, or, with `addresses`, for URLs that users have given.

    Neither proxies, cookies and credentials of the environment nor redirects are followed. Nothing but the name of the
    service is told in errors and logs: a path, a query or a header may hold a secret.
    """

    def __init__(
        self, name: str, policy: Policy | None = None, *, addresses: PublicAddresses | None = None, trust: ssl.SSLContext | None = None,
        changed: Listener = nobody, now: Monotonic = monotonic,
    ) -> None:  # fmt: skip
        self.name = name
        self._policy = policy or Policy()
        self._addresses = addresses
        self._changed = changed
        self._now = now
        self._targets: dict[str, Target] = {}
        self._trust = trust or httpx.create_ssl_context()
        # A URL of a user is called seldom, and a connection that was kept would bypass the next look at its address.
        kept = 0 if addresses is not None else self._policy.places
        self._limits = httpx.Limits(max_connections=None, max_keepalive_connections=kept, keepalive_expiry=15)

    async def request(
        self, method: str, url: str, *, body: bytes = b"", headers: Mapping[str, str] = NO_HEADERS, key: str | None = None
    ) -> Answer:
        guard.outbound(f"{method} to {self.name}")
        address = _parsed(url)
        target = await self._target(address)
        ends = self._now() + min(self._policy.total_s, current().seconds_left(self._policy.total_s))
        repeatable = key is not None or method in IDEMPOTENT
        retries = Retries(self._policy.retry, target.budget, ends, repeatable=repeatable, now=self._now)
        target.budget.called()
        sent = {"user-agent": "tenon", "accept-encoding": "identity", **headers}
        if key is not None:
            sent["idempotency-key"] = key
        try:
            async for attempt in retry_context(on=retries.pause, attempts=None, timeout=None):
                with attempt, traced(method, "client", server_address=address.host, http_request_method=method):
                    return await self._attempt(target, httpx.Request(method, address, headers=sent, content=body), ends)
        except Unavailable as error:
            if retries.unsure is not None and error is not retries.unsure:
                raise retries.unsure from error  # the last attempt did nothing, one before it may have
            raise
        raise AssertionError("the loop ends by an answer or an error")

    def breakers(self) -> dict[str, State]:
        """By target, as of now."""
        return {origin: target.breaker.state for origin, target in self._targets.items()}

    async def breaker(self, url: str) -> Breaker:
        """To isolate or reset by hand."""
        return (await self._target(_parsed(url))).breaker

    async def close(self) -> None:
        for target in self._targets.values():
            await target.transport.aclose()

    async def _target(self, url: httpx.URL) -> Target:
        origin = f"{url.scheme}://{url.netloc.decode()}"
        if (known := self._targets.pop(origin, None)) is not None:
            self._targets[origin] = known  # the last of them now: the first is the longest unused
            return known
        unused = self._unused() if len(self._targets) >= TARGETS else None
        self._targets[origin] = new = self._new_target(origin)
        if unused is not None:
            await self._targets.pop(unused).transport.aclose()
        return new

    def _unused(self) -> str:
        for origin, target in self._targets.items():
            if target.forgettable:
                return origin
        raise Busy(f"{self.name} has too many targets at the moment", retry_after=1)

    def _new_target(self, origin: str) -> Target:
        def changed(state: State) -> None:
            log.warning("breaker_changed", client=self.name, target=origin, state=state)
            self._changed(self.name, origin, state)

        breaker = Breaker(self.name, self._policy.breaker, changed=changed, now=self._now)
        return Target(self.name, self._policy, breaker, httpx.AsyncHTTPTransport(verify=self._trust, limits=self._limits), self._now)

    async def _attempt(self, target: Target, request: httpx.Request, ends: float) -> Answer:
        target.breaker.check()
        async with target.bulkhead.place(min(self._policy.queue_s, self._left(ends))):
            allowed = min(self._policy.attempt_s, self._left(ends))
            with target.breaker.call() as call:
                try:
                    answer = await self._exchange(target.transport, request, allowed)
                except (Unreachable, Unanswered) as error:
                    fair = self._policy.connect_s if isinstance(error, Unreachable) else self._policy.breaker.slow_s
                    if allowed >= min(self._policy.attempt_s, fair):  # else it may have been we who had no time
                        call.failed()
                    raise
                except AnswerRefused:
                    call.answered()
                    raise
                if answer.status != 429 and answer.status < 500:
                    call.answered()
                    return answer
                asked_for = _retry_after(answer.headers)
                call.failed(asked_for=asked_for)
                facts = {"retry_after": ceil(asked_for)} if asked_for else {}
                raise Failing(f"{self.name} answers that it cannot do it now", **facts)

    def _left(self, ends: float) -> float:
        left = ends - self._now()
        if left <= 0:
            raise DeadlineOver(f"no time was left to ask {self.name}")
        return left

    async def _exchange(self, transport: httpx.AsyncHTTPTransport, request: httpx.Request, allowed: float) -> Answer:
        request.extensions = {"timeout": {"connect": min(self._policy.connect_s, allowed)}}
        if traceparent := current().traceparent:
            request.headers["traceparent"] = traceparent
        try:
            async with asyncio.timeout(allowed):
                if self._addresses is not None:
                    await self._pin(request, self._addresses)
                response = await transport.handle_async_request(request)
                async with aclosing(response):
                    return await self._read(response)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise Unreachable(f"{self.name} cannot be reached") from None
        except TimeoutError:
            raise Unanswered(f"{self.name} did not answer in time") from None
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol):
            raise ValueError(f"a header or the address for {self.name} cannot be sent") from None  # which would be in the message
        except httpx.TransportError:
            raise Unanswered(f"{self.name} broke off") from None

    async def _pin(self, request: httpx.Request, addresses: PublicAddresses) -> None:
        """Connect to the address that was looked at; the name remains in Host, in SNI and in the check of the certificate."""
        url = request.url
        address = await addresses.admit(url.host, url.port or {"https": 443}.get(url.scheme, 80))
        request.extensions["sni_hostname"] = url.host
        request.url = url.copy_with(host=address)

    async def _read(self, response: httpx.Response) -> Answer:
        status = response.status_code
        if 300 <= status < 400 and status != 304:
            raise AnswerRefused(f"{self.name} sends us elsewhere, where we do not go")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise AnswerRefused(f"{self.name} encodes its answer, which it was asked not to do")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._policy.answer_bytes:
                raise AnswerRefused(f"{self.name} sent more than {self._policy.answer_bytes} bytes")
        return Answer(status, {name.lower(): value for name, value in response.headers.items()}, bytes(body))


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise AddressRefused("the URL cannot be understood") from None
    if parsed.scheme not in ("http", "https") or parsed.userinfo or not _HOST.match(parsed.raw_host) or (parsed.port or 0) > 65535:
        raise AddressRefused("the URL is none of http or https with a host and without credentials")
    return parsed


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds; a date is compared with that of the answer, so that the clocks need not agree. 0: nothing readable."""
    text = headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - parsedate_to_datetime(headers["date"])).total_seconds())
    except (KeyError, TypeError, ValueError):
        return 0.0
