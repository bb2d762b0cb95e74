"""What a process runs in order to be measured: a look at each of its parts, and the loop that answers Prometheus."""

from collections.abc import Sequence

from entrypoints.container import Root, hosted
from shared.infra.config import Settings
from shared.infra.metrics.backlog import Backlog
from shared.infra.metrics.figures import count_figures
from shared.infra.metrics.instruments import Family, Metrics
from shared.infra.metrics.process import EventLoopLag, watch_connections, watch_loops
from shared.infra.supervisor import Loop


def measure(root: Root, beside: list[Loop], working: Sequence[Loop]) -> None:
    """Measure a process that has these loops, and add those that it takes to the ones `beside` the work."""
    from shared.infra.metrics.exposition import Exposition  # noqa: PLC0415 - it is imported by those alone who are measured

    settings: Settings = root.settings()
    metrics: Metrics = root.shared.metrics()
    modules = hosted(root)
    checks = {f"{module.name}:{name}": probe for module in modules for name, probe in module.checks.items()}
    backlog = Backlog(modules, {**checks, "redis": root.shared.redis().ping})

    async def read() -> list[Family]:
        return [*metrics.families(), *await backlog.families()]

    root.shared.requests(), root.shared.breakers()
    watch_connections(metrics, root.shared.connections())
    for module in modules:
        count_figures(metrics, module.database, module.figures)
    beside += [
        Loop("event-loop lag", EventLoopLag(metrics).run),
        Loop("metrics", Exposition(settings.host, settings.metrics_port, read).run),
    ]
    watch_loops(metrics, [*beside, *working])
