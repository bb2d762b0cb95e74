"""What every module does by the clock: weekly partitions of its log made and removed, rows removed whose time is over."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from shared.infra.db.once import KEYS
from shared.infra.db.retention import Retention, forget
from shared.infra.events.inbox import INBOX
from shared.infra.events.partitions import Partitions
from shared.infra.hosted import Hosted
from shared.infra.saga.retention import SAGAS
from shared.infra.tasks.kind import Cron, Nothing, TaskKind
from shared.infra.tasks.retention import DISCARDED, DONE, RESULTS

log = structlog.get_logger(__name__)

EVERY: Final = timedelta(minutes=10)
LONGEST: Final = timedelta(minutes=9)
"""What is not done by then is left to the next tick; what is done stays done, chunk by chunk."""

OF_CHASSIS: Final = (DONE, RESULTS, DISCARDED, SAGAS, KEYS, INBOX)


def retentions(module: Hosted) -> Sequence[Retention]:
    return (*OF_CHASSIS, *module.retentions)


def upkeep(module: Hosted) -> tuple[Cron, Cron]:
    """The crons that every module has besides its own."""

    async def tend_log(_: Nothing, __: str) -> None:
        await Partitions([module]).look()

    async def forget_rows(_: Nothing, __: str) -> None:
        """One table's trouble keeps no other waiting."""
        troubles: list[Exception] = []
        for retention in retentions(module):
            try:
                gone = await forget(module.database, retention)
            except Exception as error:  # noqa: BLE001 - it is raised below, when the others have had their turn
                troubles.append(error)
            else:
                if gone:
                    log.info("rows_forgotten", module=module.name, what=retention.what, rows=gone)
        if troubles:
            raise ExceptionGroup(f"{len(troubles)} tables of {module.name} could not be tended", troubles)

    return (
        Cron(TaskKind(f"{module.name}.tend_log", Nothing, tend_log, LONGEST), EVERY),
        Cron(TaskKind(f"{module.name}.forget_rows", Nothing, forget_rows, LONGEST), EVERY),
    )


def crons_of(module: Hosted) -> Sequence[Cron]:
    return (*upkeep(module), *module.crons)
