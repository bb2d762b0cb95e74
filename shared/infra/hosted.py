"""A module as the worker's loops see it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from shared.domain.events import Event
from shared.domain.saga import Saga
from shared.infra.db.database import Database
from shared.infra.db.retention import Retention
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.events.subscription import Subscription
from shared.infra.metrics.figures import Figure
from shared.infra.tasks.kind import Cron, Kind


class Hosted(Protocol):
    """`shared.module.Module` is one."""

    @property
    def name(self) -> str: ...
    @property
    def database(self) -> Database: ...
    @property
    def work(self) -> Callable[[UnitOfWork], Any]: ...
    @property
    def publishes(self) -> Sequence[type[Event]]: ...
    @property
    def subscriptions(self) -> Sequence[Subscription[Any]]: ...
    @property
    def tasks(self) -> Sequence[Kind]: ...
    @property
    def crons(self) -> Sequence[Cron]: ...
    @property
    def retentions(self) -> Sequence[Retention]: ...
    @property
    def sagas(self) -> Sequence[Saga[Any, Any]]: ...
    @property
    def figures(self) -> Sequence[Figure]: ...
