"""`tenon events` and `tenon tasks`: what an operator asks about work that is not done, and what can be done about it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import Final, TypeVar

import click
import msgspec

from entrypoints.commands import columns
from entrypoints.container import Root, hosted
from shared.domain.errors import DomainError, NotFound
from shared.infra.events.desk import CursorDesk, CursorRow
from shared.infra.saga.desk import SagaRow
from shared.infra.tasks.desk import TaskDesk, TaskRow, TaskSheet
from shared.module import Module

T = TypeVar("T")
R = TypeVar("R", TaskRow, SagaRow)
Composed = Callable[[], Root]

STATES: Final = ("ready", "claimed", "blocked", "dead", "done", "discarded")
LONGEST_ERROR: Final = 100
WITH_EVENTS: Final = "events"


@click.command("list")
@click.option("--state", type=click.Choice(STATES))
@click.option("--kind", help="Of an event, `event:` and its subscription.")
@click.option("--key", help="The id of what it is about.")
@click.option("--before", metavar="ID", help="Go on after the last one of the page before.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.pass_obj
def find(composed: Composed, state: str | None, kind: str | None, key: str | None, before: str | None, limit: int) -> None:
    """What is not done, or is in one state; the newest first."""

    async def ask(module: Module) -> list[TaskRow]:
        return await _desk(module).list(state=state, kind=kind, key=key, before=before, limit=limit)

    rows = newest(each(composed(), ask), limit)
    columns.show(
        ("id", "kind", "key", "state", "tries", "due", "last error"),
        [(row.id, row.kind, row.key or "", row.state, str(row.attempts), time(row.due_at), one_line(row.last_error)) for row in rows],
        none=f"Nothing is {state}." if state else "Nothing waits, and nothing has failed.",
    )
    more(rows, limit)


@click.command()
@click.argument("task_id", metavar="ID")
@click.pass_obj
def show(composed: Composed, task_id: str) -> None:
    """Everything known about one, as JSON."""

    async def ask(module: Module) -> TaskSheet:
        return await _desk(module).show(task_id)

    document(the_one(each(composed(), ask), task_id))


@click.command()
@click.argument("task_id", metavar="[ID]", required=False)
@click.option("--dead", metavar="KIND", help="The dead ones of this kind, the oldest first.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="With --dead, how many at a time.")
@click.pass_obj
def retry(composed: Composed, task_id: str | None, dead: str | None, limit: int) -> None:
    """Try one again now, or a kind's dead ones. Safe to repeat."""
    if (task_id is None) == (dead is None):
        raise click.UsageError("name either one ID, or a kind with --dead")

    async def ask(module: Module) -> int:
        if dead is not None:
            return await _desk(module).retry_dead(dead, limit=limit)
        await _desk(module).retry(task_id or "")
        return 1

    answers = each(composed(), ask)
    retried = sum(answers) if dead is not None else the_one(answers, task_id or "")
    click.echo(f"{retried} will be tried again as soon as a worker has a place.")


@click.command()
@click.argument("task_id", metavar="ID")
@click.option("--reason", required=True, help="Kept with it.")
@click.option("--by", required=True, help="Who does this.")
@click.pass_obj
def discard(composed: Composed, task_id: str, reason: str, by: str) -> None:
    """Give one up for good. What waits behind it goes on."""

    async def ask(module: Module) -> bool:
        await _desk(module).discard(task_id, reason=reason, by=by)
        return True

    the_one(each(composed(), ask), task_id)
    click.echo(f"{task_id} is discarded by {by}: {reason}")


COMMON: Final[list[click.Command]] = [find, show, retry, discard]


@click.command()
@click.argument("task_id", metavar="ID")
@click.option("--by", required=True, help="Who does this.")
@click.pass_obj
def cancel(composed: Composed, task_id: str, by: str) -> None:
    """End one: at once while it waits, between two steps while it runs."""

    async def ask(module: Module) -> str:
        return await _desk(module).cancel(task_id, by=by)

    state = the_one(each(composed(), ask), task_id)
    click.echo(f"{task_id} runs, and was told to end." if state == "claimed" else f"{task_id} is cancelled.")


@click.group(WITH_EVENTS, commands=COMMON)
def events() -> None:
    """Deliveries of events, and how far each subscription is."""


@click.group(commands=[*COMMON, cancel])
def tasks() -> None:
    """Jobs, timers and crons that wait or failed."""


@events.command()
@click.pass_obj
def subscriptions(composed: Composed) -> None:
    """How far each subscription is, and what it has left behind."""

    async def ask(module: Module) -> list[tuple[CursorRow, int | None]]:
        desk = CursorDesk(module.database)
        types = {subscription.id: sorted(subscription.on) for subscription in module.subscriptions}
        return [(row, await desk.behind(row, types[row.subscription]) if row.subscription in types else None) for row in await desk.all()]

    lines = []
    for row, behind in (answer for answers in each(composed(), ask) for answer in answers):
        unread = "not declared any more" if behind is None else str(behind)
        paused = f"{time(row.paused_at)} by {row.paused_by}" if row.paused_at else ""
        numbers = (str(row.shard_group), unread, str(row.waiting), str(row.dead))
        lines.append((row.subscription, row.publisher, *numbers, paused, time(row.updated_at)))
    headings = ("subscription", "hears", "group", "unread", "waiting", "dead", "paused", "last batch")
    columns.show(headings, lines, none="No module hears another.")


@events.command()
@click.argument("subscription")
@click.option("--by", required=True, help="Who does this.")
@click.pass_obj
def pause(composed: Composed, subscription: str, by: str) -> None:
    """Let SUBSCRIPTION read no further until it is resumed."""

    async def ask(module: Module) -> bool:
        await CursorDesk(module.database).pause(subscription, by=by)
        return True

    the_one(each(composed(), ask), subscription)
    click.echo(f"{subscription} is paused.")


@events.command()
@click.argument("subscription")
@click.pass_obj
def resume(composed: Composed, subscription: str) -> None:
    """Let SUBSCRIPTION read on where it was paused."""

    async def ask(module: Module) -> bool:
        await CursorDesk(module.database).resume(subscription)
        return True

    the_one(each(composed(), ask), subscription)
    click.echo(f"{subscription} reads on.")


def _desk(module: Module) -> TaskDesk:
    """For the group whose command runs."""
    parent = click.get_current_context().parent
    return TaskDesk(module.database, events=parent is not None and parent.command.name == WITH_EVENTS)


def each(root: Root, ask: Callable[[Module], Awaitable[T]]) -> list[T]:
    """The answers of the modules that know the answer, each asked as its own role."""

    async def run() -> list[T]:
        answers: list[T] = []
        try:
            for module in hosted(root):
                try:
                    answers.append(await ask(module))
                except NotFound:
                    continue
                except DomainError as error:
                    raise click.ClickException(error.detail) from error
        finally:
            await root.shared.connections().close()
        return answers

    return asyncio.run(run())


def the_one(answers: list[T], what: str) -> T:
    if not answers:
        raise click.ClickException(f"there is no {what}")
    return answers[0]


def newest(found: Iterable[Iterable[R]], limit: int) -> list[R]:
    """The rows of all modules together: their ids are in the order of time."""
    return sorted(chain.from_iterable(found), key=lambda row: row.id, reverse=True)[:limit]


def more(rows: Sequence[TaskRow | SagaRow], limit: int) -> None:
    """How to see the next page, when there may be one."""
    if len(rows) == limit:
        click.echo(f"There may be more: --before {rows[-1].id}", err=True)


def document(sheet: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(sheet), indent=2).decode())


def one_line(error: str | None) -> str:
    return " ".join((error or "").split())[:LONGEST_ERROR]


def time(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(timespec="seconds")
