"""From the path to the endpoint: found by Litestar's router, and called at once.

An endpoint of `shared.api.routes` binds its arguments, makes its answer, and leaves its errors to one place. What Litestar does
around a handler (signature, exit stack, conversion of what it returns, two layers for exceptions) it needs nothing of, and that
would cost a small read a fifth of its time.
"""

from typing import Any

from litestar import Litestar, Request
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import HTTPScope, Receive, Scope, Send
from litestar.utils import normalize_path

from shared.api.failures import FailureHandler
from shared.api.middleware import is_http
from shared.api.options import OPT_OPERATION


class Dispatch:
    """An ASGI application in front of Litestar's own, which answers whatever is not an operation: unknown paths and methods,
    OPTIONS, the documentation.
    """

    def __init__(self, app: Litestar, failures: FailureHandler) -> None:
        self._litestar = app.asgi_handler
        self._find = app.asgi_router.handle_routing
        self._failures = failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._operation(scope) if is_http(scope) else None
        if handler is None:
            await self._litestar(scope, receive, send)
            return
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        try:
            answer = await handler.fn(request)
        except Exception as error:  # noqa: BLE001 - what nobody expected is logged there with its stack
            answer = self._failures.outgoing(request, error)
        await answer(scope, receive, send)

    def _operation(self, scope: HTTPScope) -> HTTPRouteHandler | None:
        """The handler, with the scope as Litestar would leave it for one; None where there is no operation."""
        try:
            _, handler, path, parameters, template = self._find(path=normalize_path(scope["path"]), method=scope["method"])
        except HTTPException:
            return None
        if not isinstance(handler, HTTPRouteHandler) or OPT_OPERATION not in handler.opt:
            return None
        scope["path"], scope["path_params"], scope["path_template"], scope["route_handler"] = path, parameters, template, handler
        return handler
