"""Work of payments that nobody waits for: asking the provider about attempts that got stuck."""

from datetime import timedelta

from modules.payments.domain.clearing import Clearing
from shared.infra.tasks.kind import Cron, Nothing, TaskKind


def reconciling(clearing: Clearing) -> TaskKind[Nothing]:
    async def reconcile(_: Nothing, __: str) -> None:
        await clearing.reconcile()

    return TaskKind("payments.reconcile", Nothing, reconcile, timeout=timedelta(seconds=60))


def every_half_minute(reconcile: TaskKind[Nothing]) -> Cron:
    return Cron(reconcile, timedelta(seconds=30))
