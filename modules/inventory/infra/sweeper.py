"""Gives back what lapsed holds keep, shortly after they have lapsed."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from modules.inventory.domain.service import ReservationService
from shared.infra.tasks.kind import Cron, Nothing, TaskKind

AT_ONCE: Final = 100
EVERY: Final = timedelta(seconds=10)


def sweeping(reservations: ReservationService) -> TaskKind[Nothing]:
    return TaskKind("inventory.sweep_reservations", Nothing, _sweep(reservations))


def regularly(kind: TaskKind[Nothing]) -> Cron:
    return Cron(kind, EVERY)


def _sweep(reservations: ReservationService) -> Callable[[Nothing, str], Awaitable[None]]:
    async def run(payload: Nothing, key: str) -> None:
        while await reservations.expire(AT_ONCE) == AT_ONCE:
            pass

    return run
