"""Who listens to what in this process: checked when it starts, and asked by the dispatcher, the workers and the operator."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.infra.events.subscription import Subscription
from shared.infra.hosted import Hosted
from shared.infra.tasks.kind import Kind
from shared.infra.tasks.upkeep import crons_of, upkeep

EVENT_KIND: Final = "event:"
"""Tasks that carry an event have the kind `event:<subscription>`."""

_SCHEMA: Final = re.compile(r"[a-z][a-z0-9_]*")


class WrongRegistration(Exception):
    """Two modules, or a module and the chassis, would get in each other's way."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """One subscription and the module that has it."""

    module: Hosted
    subscription: Subscription[Any]

    @property
    def kind(self) -> str:
        return EVENT_KIND + self.subscription.id

    @property
    def types(self) -> list[str]:
        return sorted(self.subscription.on)


class Registry:
    """All of what `modules` listen to and do; raises WrongRegistration."""

    def __init__(self, modules: Sequence[Hosted]) -> None:
        self.modules = tuple(modules)
        self.consumers = tuple(Consumer(module, subscription) for module in modules for subscription in module.subscriptions)
        _refuse_twice("subscription", [consumer.subscription.id for consumer in self.consumers])
        for module in modules:
            _refuse_twice(f"task kind of {module.name}", [kind.name for kind in self._kinds(module)])
            _refuse_twice(f"cron of {module.name}", [cron.kind.name for cron in crons_of(module)])
        self._check()

    def consumers_of(self, module: Hosted) -> Mapping[str, Consumer]:
        """By the kind of the tasks that carry their events."""
        return {consumer.kind: consumer for consumer in self.consumers if consumer.module is module}

    def kinds_of(self, module: Hosted) -> Mapping[str, Kind]:
        return {kind.name: kind for kind in self._kinds(module)}

    @staticmethod
    def _kinds(module: Hosted) -> list[Kind]:
        return [*module.tasks, *(cron.kind for cron in upkeep(module))]

    def _check(self) -> None:
        for consumer in self.consumers:
            publisher = consumer.subscription.publisher
            if not _SCHEMA.fullmatch(publisher):
                raise WrongRegistration(f"subscription {consumer.subscription.id}: {publisher!r} is no module's name")
        for module in self.modules:
            for kind in module.tasks:
                if kind.name.startswith(EVENT_KIND):
                    raise WrongRegistration(f"task kind {kind.name}: names with {EVENT_KIND} are for events")
            known = set(self.kinds_of(module))
            for cron in module.crons:
                if cron.kind.name not in known:
                    raise WrongRegistration(f"cron of {module.name}: {cron.kind.name} is not among its tasks")


def _refuse_twice(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise WrongRegistration(f"{what} registered twice: {', '.join(twice)}")
