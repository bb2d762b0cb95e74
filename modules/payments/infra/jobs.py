"""Work of payments that nobody waits for: asking the provider about attempts that got stuck, and closing the books."""

from collections.abc import Sequence
from datetime import timedelta

from modules.payments.domain.clearing import Clearing
from modules.payments.infra.ledger import SqlLedgerQueries
from shared.infra.tasks.kind import Cron, Kind, Nothing, TaskKind


def recurring(clearing: Clearing, ledger: SqlLedgerQueries) -> Sequence[Cron]:
    async def reconcile(_: Nothing, __: str) -> None:
        await clearing.reconcile()

    async def close(_: Nothing, __: str) -> None:
        await ledger.close()

    return (
        Cron(TaskKind("payments.reconcile", Nothing, reconcile, timeout=timedelta(seconds=60)), timedelta(seconds=30)),
        Cron(TaskKind("payments.close_ledger", Nothing, close), timedelta(minutes=10)),
    )


def kinds(crons: Sequence[Cron], *others: Kind) -> Sequence[Kind]:
    """Every kind of task of the module."""
    return (*others, *(cron.kind for cron in crons))
