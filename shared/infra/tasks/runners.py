"""Who runs which kind of a module's tasks: the short ones on one bench, the jobs on another, so that these delay none of those."""

from collections.abc import Mapping
from typing import Any

from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.events.registry import Consumer, Registry
from shared.infra.events.resuming import HandleLater, Send
from shared.infra.hosted import Hosted
from shared.infra.tasks.claims import Claims
from shared.infra.tasks.job import RunJob
from shared.infra.tasks.kind import JobKind, TaskKind
from shared.infra.tasks.processes import Processes
from shared.infra.tasks.running import RunKind, Runner


class Runners:
    """Of one module, by the kind of task."""

    def __init__(self, module: Hosted, registry: Registry, claims: Claims, processes: Processes) -> None:
        kinds = registry.kinds_of(module)
        transact: Transact[UnitOfWork] = Transact(
            module.database, lambda uow: uow, events=module.publishes, tasks=list(kinds), sagas=module.sagas
        )

        def carrier(consumer: Consumer) -> Runner:
            return Send(consumer) if consumer.subscription.kind == "outbound" else HandleLater(consumer, claims, transact)

        def job(kind: JobKind[Any, Any]) -> Runner:
            return RunJob(kind, module, transact, processes, claims.claim_s)

        short: dict[str, Runner] = {name: RunKind(kind) for name, kind in kinds.items() if isinstance(kind, TaskKind)}
        self.short: Mapping[str, Runner] = short | {kind: carrier(each) for kind, each in registry.consumers_of(module).items()}
        self.jobs: Mapping[str, Runner] = {name: job(kind) for name, kind in kinds.items() if isinstance(kind, JobKind)}
