"""`get`, `post`, `put`, `patch`, `delete`: Litestar's decorators with everything that each operation of this API promises.

A handler takes parameters in the style of Litestar 3 (`FromPath[Id]`, `FromQuery[…]`, `NamedDependency[Service]`, `data`,
`Request`, `Paging`) and returns a `Reply`, made by `ok`, `created`, `accepted`, `no_content`, `Paging.page` or `once`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import cleandoc, iscoroutinefunction
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from litestar import Request
from litestar.enums import HttpMethod
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from shared.api.answers import Reply
from shared.api.binding import bind
from shared.api.conditional import check_if_match, if_none_match
from shared.api.idempotency import MONEY_DAYS, USUAL_DAYS, Mode, require_key
from shared.api.operation import Operation
from shared.api.options import OPT_LIMITER, OPT_OPERATION, OPT_RULE, OPT_USE_CASES
from shared.api.wire import outgoing
from shared.domain.context import current
from shared.domain.errors import DomainError
from shared.domain.limits import Rate

Handler = Callable[..., Awaitable[Reply[Any]]]
Decorator = Callable[[Handler], HTTPRouteHandler]


def get(
    path: str = "",
    *,
    operation: str,
    errors: Sequence[type[DomainError]] = (),
    sort: Sequence[str] = (),
    revalidates: bool = True,
    rate: Rate | None = "read",
) -> Decorator:
    """A read. `sort` is the allow-list of a list's orders, the first being the default; it needs a `Paging` parameter.

    `revalidates` says that the entity tag, where there is one, covers the whole answer, so that If-None-Match may be honoured.
    `rate` is the class by which callers are limited; None never refuses anybody.
    """
    return _route("GET", path, operation, errors, status=200, rate=rate, sort=sort, tag_covers_all=revalidates)


def post(
    path: str = "",
    *,
    operation: str,
    errors: Sequence[type[DomainError]] = (),
    status: int = 201,
    idempotent: Mode = "optional",
    if_match: Mode = "never",
    answers: Mapping[int, Any] | None = None,
    money: bool = False,
    rate: Rate = "write",
    account: str | None = None,
) -> Decorator:
    """A creation or an action. `answers` are further successes, such as `{202: OrderPending}`, beside `status`.

    What moves `money` is answered for a month when it is repeated with its key; so is what needs a key. `rate` is the class by
    which callers are limited; `account` is the field of the body that names an account, which is limited whoever calls.
    """
    return _route(
        "POST", path, operation, errors, status=status, rate=rate, account=account, idempotent=idempotent, if_match=if_match,
        answers=answers, money=money,
    )  # fmt: skip


def put(
    path: str = "",
    *,
    operation: str,
    errors: Sequence[type[DomainError]] = (),
    status: int = 200,
    if_match: Mode = "required",
    answers: Mapping[int, Any] | None = None,
) -> Decorator:
    """A replacement. `answers` is for `{201: View}` where it may also create."""
    return _route("PUT", path, operation, errors, status=status, if_match=if_match, answers=answers)


def patch(
    path: str = "", *, operation: str, errors: Sequence[type[DomainError]] = (), status: int = 200, if_match: Mode = "required"
) -> Decorator:
    """A JSON Merge Patch: fields of its body default to `msgspec.UNSET`; an absent one is untouched, null clears."""
    return _route("PATCH", path, operation, errors, status=status, if_match=if_match)


def delete(
    path: str = "", *, operation: str, errors: Sequence[type[DomainError]] = (), status: int = 204, if_match: Mode = "required"
) -> Decorator:
    return _route("DELETE", path, operation, errors, status=status, if_match=if_match)


def _route(
    method: str,
    path: str,
    operation: str,
    errors: Sequence[type[DomainError]],
    *,
    status: int,
    rate: Rate | None = "write",
    account: str | None = None,
    sort: Sequence[str] = (),
    idempotent: Mode = "never",
    if_match: Mode = "never",
    answers: Mapping[int, Any] | None = None,
    tag_covers_all: bool = False,
    money: bool = False,
) -> Decorator:
    def decorate(handler: Handler) -> HTTPRouteHandler:
        summary, _, description = cleandoc(handler.__doc__ or "").partition("\n")
        record = Operation(
            id=operation,
            method=method,
            status=status,
            summary=summary.strip().rstrip("."),
            description=description.strip(),
            errors=tuple(errors),
            answers={status: _view_of(handler, answers or {}), **(answers or {})},
            idempotent=idempotent,
            if_match=if_match,
            rate=rate,
            account=account,
            tag_covers_all=tag_covers_all,
            keep_days=MONEY_DAYS if money or idempotent == "required" else USUAL_DAYS,
            binding=bind(handler, sort),
        )
        methods = [HttpMethod.GET, HttpMethod.HEAD] if method == "GET" else [HttpMethod(method)]
        return HTTPRouteHandler(path or None, http_method=methods, status_code=200, opt={OPT_OPERATION: record})(_endpoint(handler, record))

    return decorate


def _endpoint(handler: Handler, operation: Operation) -> Callable[..., Awaitable[ASGIApp]]:
    """What Litestar calls: limits, policy, arguments, preconditions, the handler, its reply."""
    bind_arguments = operation.binding.arguments
    rate, account = operation.rate, operation.account
    matches, needs_version = operation.if_match != "never", operation.if_match == "required"
    revalidates = operation.revalidates
    needs_key = operation.idempotent == "required"
    documented = frozenset(operation.answers)

    async def endpoint(self: Any, request: Request[Any, Any, Any]) -> ASGIApp:
        opt = request.route_handler.opt
        if rate is not None:
            await opt[OPT_LIMITER].admit(request.scope, rate)
        opt[OPT_RULE].check(current().principal)
        arguments = await bind_arguments(request, opt[OPT_USE_CASES])
        if account is not None:
            await opt[OPT_LIMITER].admit_account(request.scope, getattr(arguments["data"], account))
        if matches:
            check_if_match(request, required=needs_version)
        if needs_key:
            require_key(request)
        known = if_none_match(request) if revalidates else None
        reply = await handler(self, **arguments)
        if reply.status not in documented and reply.status < 400:
            raise RuntimeError(f"{operation.id} answers {reply.status}, which is not documented: name it in `answers`")
        return outgoing(reply, known)

    endpoint.__name__ = handler.__name__
    endpoint.__qualname__ = handler.__qualname__
    endpoint.__module__ = handler.__module__
    return endpoint


def _view_of(handler: Handler, others: Mapping[int, Any]) -> Any:
    """The `T` of `-> Reply[T]`, without those that answer with another status; None when nothing is sent."""
    returned = get_type_hints(handler, include_extras=True).get("return")
    if not iscoroutinefunction(handler) or get_origin(returned) is not Reply:
        raise ImproperlyConfiguredException(f"{handler.__qualname__} must be `async` and return `Reply[View]`")
    view = get_args(returned)[0]
    views = [each for each in (get_args(view) if isinstance(view, UnionType) else (view,)) if each not in others.values()]
    if len(views) != 1:
        raise ImproperlyConfiguredException(f"{handler.__qualname__}: name in `answers` which status each of {view} has")
    return None if views[0] is NoneType else views[0]
