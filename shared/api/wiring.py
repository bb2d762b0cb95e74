"""From modules to one Litestar application, checked while it is built: what is not declared does not start."""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

from litestar import Controller, Litestar, Router
from litestar.events import BaseEventEmitterBackend
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from shared.api.dispatch import Dispatch
from shared.api.docs import documentation_routes
from shared.api.failures import FailureHandler
from shared.api.health import POLICY, Check, HealthRoutes, HealthService, Lifecycle
from shared.api.middleware import MAX_BODY_BYTES, Edge, EdgeOptions
from shared.api.openapi import Mounted, describe
from shared.api.operation import Operation
from shared.api.options import OPT_DOCUMENTED, OPT_LIMITER, OPT_MODULE, OPT_OPERATION, OPT_PROBLEMS, OPT_RULE, OPT_SIGNER, OPT_USE_CASES
from shared.api.problem_pages import problem_routes
from shared.api.problems import ProblemWriter, catalogue
from shared.api.ratelimit import RateLimiter
from shared.domain.authentication import Authenticator
from shared.domain.limits import RateLimits
from shared.domain.policy import Policy
from shared.domain.signing import Signing


class Mountable(Protocol):
    """What the edge needs to know of a module; `shared.module.Module` is one."""

    @property
    def name(self) -> str: ...
    @property
    def controllers(self) -> Sequence[type[Controller]]: ...
    @property
    def use_cases(self) -> Mapping[str, object]: ...
    @property
    def policy(self) -> Policy: ...


@dataclass(frozen=True, kw_only=True)
class Part:
    """Routes of the chassis itself, mounted as a module's are."""

    name: str
    controllers: Sequence[type[Controller]]
    use_cases: Mapping[str, object] = field(default_factory=dict)
    policy: Policy = field(default_factory=dict)


_AROUND: Final = ("guards", "dependencies", "middleware", "before_request", "after_request", "after_response")
_PATH_PARAMETER: Final = re.compile(r"\{([a-z_]+):[a-z]+\}")

Lifespan = Callable[[], AbstractAsyncContextManager[object]]


class NoEvents(BaseEventEmitterBackend):
    """Nothing is fired and forgotten here. (Litestar's own emitter also binds the lifespan to one asyncio task.)"""

    def emit(self, event_id: str, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"{event_id}: record an event of the domain, or enqueue a task")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def build_app(
    modules: Sequence[Mountable],
    *,
    authenticator: Authenticator,
    limits: RateLimits,
    signer: Signing,
    public_url: str,
    contact: str = "operators@example.org",
    options: EdgeOptions | None = None,
    checks: Sequence[Check] = (),
    lifespan: Sequence[Lifespan] = (),
    lifecycle: Lifecycle | None = None,
) -> Litestar:
    """The application of these modules. `contact` is the operators' e-mail address, for the documentation.

    The steps of `lifespan` are entered in order before the first request, and left in reverse after the last.
    """
    lifecycle = lifecycle or Lifecycle()
    health = HealthService(lifecycle, checks)
    parts = [*modules, Part(name="operations", controllers=[HealthRoutes], use_cases={"health": health}, policy=POLICY)]
    problems = ProblemWriter(public_url)
    failures = FailureHandler(problems)
    app = Litestar(
        route_handlers=[Router(path="/", route_handlers=list(part.controllers), opt={OPT_MODULE: part.name}) for part in parts],
        exception_handlers={Exception: failures},
        lifespan=[_lifespan(lifespan, lifecycle)],
        event_emitter_backend=NoEvents,
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,
        logging_config=None,
    )
    options = options or EdgeOptions()
    limiter = RateLimiter(limits, scale=options.rate_scale, proxies=options.proxies)
    carried = {OPT_LIMITER: limiter, OPT_SIGNER: signer, OPT_PROBLEMS: problems}
    mounted = list(_complete(app, {part.name: part for part in parts}, carried))
    _check_operations(mounted, parts)
    kinds = catalogue(kind for each in mounted for kind in each.operation.errors)
    for handler in (*documentation_routes(describe(mounted, public_url, contact)), *problem_routes(kinds)):
        app.register(handler)
    app.asgi_handler = Edge(Dispatch(app, failures), authenticator, problems, options, _methods(app))
    return app


def _complete(app: Litestar, parts: Mapping[str, Mountable], carried: Mapping[str, object]) -> Iterator[Mounted]:
    """Give every route its rule and its use cases, and refuse those that were not made by shared/api/routes.py.

    Done on the finished routes, because Litestar copies all that a handler carries while it builds them.
    """
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            operation: Operation | None = handler.opt.get(OPT_OPERATION)
            if operation is None:
                if handler.http_methods == {"OPTIONS"}:
                    continue
                raise ImproperlyConfiguredException(f"{handler} has no operation: make it with shared.api.routes")
            part = parts[handler.opt[OPT_MODULE]]
            rule = part.policy.get(operation.id)
            if rule is None:
                raise ImproperlyConfiguredException(f"{operation.id} has no rule in the policy of {part.name}")
            _check_route(operation, route.path, part)
            _check_bare(operation, handler)
            handler.opt |= {OPT_RULE: rule, OPT_USE_CASES: part.use_cases, OPT_DOCUMENTED: frozenset(operation.problems(rule)), **carried}
            yield Mounted(operation, _template(route.path), tuple(handler.resolve_tags()) or (part.name,), rule)


def _methods(app: Litestar) -> dict[str, str]:
    """The Allow header of every path. Litestar's own answer to OPTIONS knows the first of a path's handlers only."""
    return {_template(route.path): ", ".join(sorted(route.route_handler_map)) for route in app.routes if isinstance(route, HTTPRoute)}


def _template(path: str) -> str:
    """A route's path without the framework's parameter types, as OpenAPI and the logs have it."""
    return _PATH_PARAMETER.sub(r"{\1}", path)


def _check_route(operation: Operation, path: str, part: Mountable) -> None:
    if missing := set(operation.binding.dependencies) - set(part.use_cases):
        raise ImproperlyConfiguredException(f"{operation.id}: {part.name} has no use case named {', '.join(sorted(missing))}")
    in_path = set(_PATH_PARAMETER.findall(path))
    bound = {parameter.name for parameter in operation.binding.parameters if parameter.place == "path"}
    if in_path != bound:
        raise ImproperlyConfiguredException(f"{operation.id}: {path} and the handler disagree about {', '.join(sorted(in_path ^ bound))}")


def _check_bare(operation: Operation, handler: HTTPRouteHandler) -> None:
    """What Litestar would do around a handler is not done for an operation, and must not seem to be."""
    around = {name for layer in handler.ownership_layers for name in _AROUND if getattr(layer, name, None)}
    if around:
        raise ImproperlyConfiguredException(f"{operation.id}: Litestar's {', '.join(sorted(around))} are not called for an operation")


def _check_operations(mounted: Sequence[Mounted], parts: Sequence[Mountable]) -> None:
    seen: set[str] = set()
    for operation in (each.operation for each in mounted):
        if operation.id in seen:
            raise ImproperlyConfiguredException(f"two routes are called {operation.id}")
        seen.add(operation.id)
    for part in parts:
        if unknown := part.policy.keys() - seen:
            raise ImproperlyConfiguredException(f"the policy of {part.name} has rules for no route: {', '.join(sorted(unknown))}")


def _lifespan(steps: Sequence[Lifespan], lifecycle: Lifecycle) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(_: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for step in steps:
                await stack.enter_async_context(step())
            lifecycle.running()
            try:
                yield
            finally:
                lifecycle.stopping()

    return run
