"""`tenon routes`, `tenon subscriptions`, `tenon jobs`: what there is, out of the modules themselves; nothing is connected to."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import click
import msgspec

from entrypoints.commands import columns, describe
from entrypoints.commands.docs import NOWHERE
from entrypoints.container import Root, compose
from entrypoints.http import create_app
from shared.infra.config import load

JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")
MODULE = click.option("--module", help="Of this one only.")


@click.command()
@JSON
@MODULE
def routes(as_json: bool, module: str | None) -> None:
    """The API's operations: who may call each, what each needs."""
    rows = _of(describe.routes(create_app(_root())), module)

    def line(row: describe.RouteRow) -> tuple[str, ...]:
        needs = [name for name, mode in (("Idempotency-Key", row.key), ("If-Match", row.if_match)) if mode == "required"]
        return row.module, row.method, row.path, row.operation, ", ".join(row.who), row.rate or "", ", ".join(needs)

    _print(rows, ("module", "method", "path", "operation", "who", "limited as", "needs"), line, as_json=as_json)


@click.command()
@JSON
@MODULE
def subscriptions(as_json: bool, module: str | None) -> None:
    """The events that are published, and who listens to each."""
    rows = _of(describe.events(_root().modules()), module)

    def line(row: describe.EventRow) -> tuple[str, ...]:
        heard = ", ".join(f"{each.subscription} ({each.kind})" for each in row.listeners)
        return row.module, f"{row.type} v{row.version}", row.key, ", ".join(field.name for field in row.fields), heard

    _print(rows, ("module", "event", "key", "fields", "who listens"), line, as_json=as_json)


@click.command()
@JSON
@MODULE
def jobs(as_json: bool, module: str | None) -> None:
    """The kinds of durable work; how often a clock begins each."""
    rows = _of(describe.jobs(_root().modules()), module)

    def line(row: describe.JobRow) -> tuple[str, ...]:
        every = "" if row.every_s is None else str(timedelta(seconds=row.every_s))
        return row.module, row.kind, ", ".join(row.payload), f"{row.timeout_s:g} s", every

    _print(rows, ("module", "kind", "payload", "timeout", "every"), line, as_json=as_json)


COMMANDS: list[click.Command] = [routes, subscriptions, jobs]


def _root() -> Root:
    """Of an application that is only described: it needs no settings."""
    return compose(load(NOWHERE))


def _of(rows: list[Any], module: str | None) -> list[Any]:
    found = [row for row in rows if module in (None, row.module)]
    if module is not None and not found:
        raise click.ClickException(f"there is nothing of a module {module}")
    return found


def _print(rows: Sequence[Any], headings: Sequence[str], line: Callable[[Any], Sequence[str]], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
        return
    columns.show(headings, [line(row) for row in rows])
