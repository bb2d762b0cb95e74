"""What the HTTP edge itself refuses, before or beside any business. Docstrings are the texts of the public pages."""

from typing import ClassVar

import msgspec

from shared.domain.errors import DomainError, Unavailable


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with a request: in its body (`pointer`, a JSON pointer) or in a `parameter` of query, path or headers."""

    code: str
    detail: str
    pointer: str | msgspec.UnsetType = msgspec.UNSET
    parameter: str | msgspec.UnsetType = msgspec.UNSET


class Refusal(DomainError):
    """The request was refused at the edge."""

    code = "refused"
    status: ClassVar[int] = 400


class InvalidRequest(Refusal):
    """Something in the body, the query, the path or the headers is not as documented. `errors` names every fault at once:
    `pointer` is a JSON pointer into the body, `parameter` the name of a query, path or header parameter."""

    code = "invalid_request"
    title = "The request is not valid"

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("see errors for every fault", errors=faults)
        self.faults = faults


class MalformedJson(Refusal):
    """The body is not JSON, names the same key twice in one object, or is nested deeper than 32 levels."""

    code = "malformed_json"
    title = "The body cannot be read"


class UnsupportedMediaType(Refusal):
    """The body was not sent as application/json."""

    code = "unsupported_media_type"
    title = "Unsupported media type"
    status = 415


class BodyTooLarge(Refusal):
    """The body is larger than 1 MiB."""

    code = "body_too_large"
    title = "The body is too large"
    status = 413


class SlowRequest(Refusal):
    """The request did not arrive in time: its headers have some seconds, and its body has as many. The connection is closed."""

    code = "slow_request"
    title = "The request took too long to arrive"
    status = 408
    retryable = True


class NotHttp(Refusal):
    """What came over the connection is not a request of HTTP/1.1. The connection is closed."""

    code = "not_http"
    title = "The request cannot be read"


class HeadersTooLarge(Refusal):
    """The request line and the headers are larger than 16 KiB together, or there are more than 100 headers."""

    code = "headers_too_large"
    title = "The headers are too large"
    status = 431


class RateLimited(Refusal):
    """The caller has asked for more than one may within a time. `RateLimit` and `RateLimit-Policy` say how much that is and what is
    left of it; Retry-After and the fact `retry_after` say after how many seconds there is more."""

    code = "rate_limited"
    title = "Too many requests"
    status = 429
    retryable = True


class HostRefused(Refusal):
    """The Host header names a host that this server does not answer for."""

    code = "host_refused"
    title = "Unknown host"


class UnknownApiVersion(Refusal):
    """The Api-Version header names a date at which no version of this API was published."""

    code = "unknown_api_version"
    title = "Unknown API version"


class RouteNotFound(Refusal):
    """No route of this API has this path."""

    code = "route_not_found"
    title = "No such route"
    status = 404


class MethodNotAllowed(Refusal):
    """The path exists and does not know this method; the Allow header names those that it knows."""

    code = "method_not_allowed"
    title = "Method not allowed"
    status = 405


class ClientGone(Refusal):
    """The client closed the connection before its request was complete."""

    code = "client_closed_request"
    title = "The client is gone"
    status = 499


class InternalError(Refusal):
    """Something unexpected happened on our side. It was logged under the trace_id of the answer."""

    code = "internal_error"
    title = "Internal error"
    status = 500


class DeadlineExceeded(Unavailable):
    """The request took longer than it may. Whether it had an effect is not known: repeat it with the same Idempotency-Key,
    or look first."""

    code = "deadline_exceeded"
    title = "The deadline was exceeded"


class Overloaded(Unavailable):
    """The server has as much to do as it can do in good time, and refuses the rest at once; nothing was done."""

    code = "overloaded"
    title = "Too much to do"


class NotReady(Unavailable):
    """The process cannot serve at the moment: it is starting, stopping, or without its database."""

    code = "not_ready"
    title = "Not ready"
