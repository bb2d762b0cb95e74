"""Everything mountable about a module in one value. A module's container.py builds it; the root only collects."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from litestar import Controller

from shared.domain.events import Event
from shared.domain.policy import Policy
from shared.domain.saga import Saga
from shared.infra.db.database import Database
from shared.infra.db.retention import Retention
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.events.subscription import Subscription
from shared.infra.metrics.figures import Figure
from shared.infra.tasks.kind import Cron, Kind


@dataclass(frozen=True, kw_only=True)
class Module:
    """`work` builds the module's own unit of work (its domain/ports.py) on the chassis' one.

    `use_cases` maps the parameter names that its route handlers use to the objects they receive. `checks` are probes by name
    that raise when something of the module is not as it should be: readiness then says degraded.
    """

    name: str
    database: Database
    work: Callable[[UnitOfWork], Any]
    controllers: Sequence[type[Controller]] = ()
    use_cases: Mapping[str, object] = field(default_factory=dict)
    policy: Policy = field(default_factory=dict)
    publishes: Sequence[type[Event]] = ()
    subscriptions: Sequence[Subscription[Any]] = ()
    tasks: Sequence[Kind] = ()
    crons: Sequence[Cron] = ()
    retentions: Sequence[Retention] = ()
    sagas: Sequence[Saga[Any, Any]] = ()
    figures: Sequence[Figure] = ()
    checks: Mapping[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
