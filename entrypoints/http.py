"""The API as an ASGI application: every hosted module's routes, and, where wished, the worker's loops in the same process."""

from urllib.parse import urlsplit

from litestar import Litestar

from entrypoints.container import Root, hosted
from entrypoints.ending import Ending
from entrypoints.process import running
from shared.api import jobs
from shared.api.health import Check, Lifecycle
from shared.api.jobs import JobRoutes
from shared.api.middleware import EdgeOptions, nobody
from shared.api.operations import POLICY, OperationRoutes
from shared.api.wiring import Part, build_app
from shared.domain.context import SYSTEM, Context, begin
from shared.infra import tracing
from shared.infra.config import Settings
from shared.infra.db.connections import background
from shared.infra.saga.operations import SagaOperations
from shared.infra.tasks.jobs import JobDesk
from shared.module import Module


def create_app(root: Root, *, with_worker: bool = False, lifecycle: Lifecycle | None = None, ending: Ending | None = None) -> Litestar:
    """Raises ConfigurationError for a module that does not exist; opens nothing before the lifespan begins."""
    lifecycle = lifecycle or Lifecycle()
    settings: Settings = root.settings()
    modules = hosted(root)
    return build_app(
        [*modules, operations(modules)],
        authenticator=root.shared.verifier(),
        limits=root.shared.limits(),
        signer=root.shared.signer(),
        public_url=settings.public_url,
        options=EdgeOptions(
            origins=settings.cors_origins,
            deadline_s=settings.request_seconds,
            development=settings.environment == "development",
            arrival_s=settings.arrival_seconds,
            admission=root.shared.admission(),
            rate_scale=settings.rate_scale,
            proxies=settings.trusted_proxies,
            hosts=[urlsplit(settings.public_url).hostname or ""] if settings.production else (),
            spans=tracing.active,
            trace_ratio=settings.trace_ratio,
            stopping=lambda: lifecycle.stage == "stopping",
            meter=root.shared.requests().answered if settings.metrics_port else nobody,
        ),
        checks=[
            *(database(module) for module in modules),
            *(Check(f"{module.name}:{name}", probe, essential=False) for module in modules for name, probe in module.checks.items()),
            Check("redis", root.shared.redis().ping, essential=False),
        ],
        lifespan=[lambda: running(root, with_worker=with_worker, ending=ending)],
        lifecycle=lifecycle,
    )


def operations(modules: list[Module]) -> Part:
    """What a 202 answer points to: the sagas and the jobs of every hosted module."""
    sagas = SagaOperations([(module.database, module.sagas) for module in modules if module.sagas])
    found = {"operations": sagas, "jobs": JobDesk([(module.database, module.tasks) for module in modules])}
    return Part(name="work", controllers=[OperationRoutes, JobRoutes], use_cases=found, policy={**POLICY, **jobs.POLICY})


def database(module: Module) -> Check:
    """Each module logs in as a role of its own, and may have a server of its own."""

    async def probe() -> None:
        background.set(True)  # in a place of its own: a process whose requests have taken theirs is busy, and ready all the same
        begin(Context(principal=SYSTEM))  # a statement for each module, which are not the request's
        await module.database.fetchval("select 1")

    return Check(f"database:{module.name}", probe)
