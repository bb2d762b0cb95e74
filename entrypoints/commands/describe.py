"""What the modules say about themselves, as rows: routes, events and who hears them, durable work."""

import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.routes import HTTPRoute

from shared.api.operation import Operation
from shared.api.options import OPT_MODULE, OPT_OPERATION, OPT_RULE
from shared.domain.policy import Rule
from shared.infra.tasks.upkeep import crons_of, upkeep
from shared.module import Module

EVERYBODY: Final = "everybody"
GUESTS: Final = "a guest's cart"


class RouteRow(msgspec.Struct, frozen=True):
    """`who` are roles, or everybody; `rate` is the class by which callers are limited, None for what is never refused; `key` and
    `if_match` say whether Idempotency-Key and If-Match are needed."""

    module: str
    method: str
    path: str
    operation: str
    who: list[str]
    rate: str | None
    key: str
    if_match: str
    summary: str


class ListenerRow(msgspec.Struct, frozen=True):
    """`kind` database: its effects and the cursor commit together; outbound: at least once, outside any transaction."""

    subscription: str
    module: str
    kind: str
    reads: list[str]


class FieldRow(msgspec.Struct, frozen=True):
    name: str
    type: str


class EventRow(msgspec.Struct, frozen=True):
    """`key` names the field that orders: events of one key are heard in the order of their commits."""

    module: str
    type: str
    version: int
    key: str
    says: str
    fields: list[FieldRow]
    listeners: list[ListenerRow]


class JobRow(msgspec.Struct, frozen=True):
    """`every_s` is set for what a cron enqueues."""

    module: str
    kind: str
    payload: list[str]
    timeout_s: float
    every_s: float | None


def routes(app: Litestar) -> list[RouteRow]:
    return sorted(_routes(app), key=lambda row: (row.module, row.path, row.method))


def events(modules: Sequence[Module]) -> list[EventRow]:
    heard = [(subscription, module.name) for module in modules for subscription in module.subscriptions]
    return [
        EventRow(
            module.name,
            event.event_type,
            event.event_version,
            event.event_key,
            " ".join((event.__doc__ or "").split()),
            [FieldRow(field.name, written(field.type)) for field in msgspec.structs.fields(event)],
            [
                ListenerRow(subscription.id, listener, subscription.kind, list(subscription.on[event.event_type].shape.__struct_fields__))
                for subscription, listener in heard
                if event.event_type in subscription.on
            ],
        )
        for module in sorted(modules, key=lambda module: module.name)
        for event in module.publishes
    ]


def jobs(modules: Sequence[Module]) -> list[JobRow]:
    every = {cron.kind.name: cron.every.total_seconds() for module in modules for cron in crons_of(module)}
    return [
        JobRow(module.name, kind.name, list(kind.payload.__struct_fields__), kind.timeout.total_seconds(), every.get(kind.name))
        for module in sorted(modules, key=lambda module: module.name)
        for kind in (*module.tasks, *(cron.kind for cron in upkeep(module)))
    ]


def written(shape: Any) -> str:
    """A type as one writes it."""
    origin, parts = typing.get_origin(shape), typing.get_args(shape)
    if origin is typing.Annotated:
        return written(parts[0])
    if origin is typing.Literal:
        return " | ".join(f'"{part}"' for part in parts)
    if origin in (types.UnionType, typing.Union):
        return " | ".join(written(part) for part in parts)
    name: str = "null" if shape is type(None) else getattr(origin or shape, "__name__", str(shape))
    return f"{name}[{', '.join(written(part) for part in parts)}]" if parts else name


def _routes(app: Litestar) -> Iterator[RouteRow]:
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            operation: Operation | None = handler.opt.get(OPT_OPERATION)
            if operation is not None:
                path = "/".join(f"{{{part.name}}}" if not isinstance(part, str) else part for part in route.path_components)
                module, who = handler.opt[OPT_MODULE], _who(handler.opt[OPT_RULE])
                yield RouteRow(
                    module, operation.method, f"/{path}", operation.id, who, operation.rate, operation.idempotent, operation.if_match,
                    operation.summary,
                )  # fmt: skip


def _who(rule: Rule) -> list[str]:
    if rule.roles is None:
        return [EVERYBODY]
    return sorted(rule.roles) + ([GUESTS] if rule.guests else [])
