"""`tenon sagas`: what an operator asks about sagas, and the one thing to do about a stuck one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table

from entrypoints.container import Root, hosted
from shared.domain.errors import NotFound
from shared.infra.saga.desk import SagaDesk, SagaRow, SagaSheet

T = TypeVar("T")
Composed = Callable[[], Root]
STATES = ("running", "waiting", "compensating", "stuck", "done", "failed")


@click.group()
def sagas() -> None:
    """Changes in several modules: list them, look at one, let one go on."""


@sagas.command("list")
@click.option("--state", type=click.Choice(STATES), help="Instead of all that have not ended.")
@click.option("--key", help="The id of what it is about, such as an order's.")
@click.option("--before", metavar="ID", help="Go on after the last one of the page before.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.pass_obj
def find(composed: Composed, state: str | None, key: str | None, before: str | None, limit: int) -> None:
    """The newest first; those that have not ended, unless a state is named."""

    async def ask(desk: SagaDesk) -> list[SagaRow]:
        return await desk.list(state=state, key=key, before=before, limit=limit)

    rows = [row for found in _each(composed(), ask) for row in found]
    table = Table("id", "saga", "about", "state", "position", "failures", "last error", "started")
    for row in sorted(rows, key=lambda row: row.id, reverse=True)[:limit]:
        started = row.started_at.isoformat(timespec="seconds")
        table.add_row(
            row.id, f"{row.name} v{row.version}", row.key, row.state, str(row.position), str(row.attempts), row.last_error, started
        )
    Console().print(table)


@sagas.command()
@click.argument("saga_id")
@click.pass_obj
def show(composed: Composed, saga_id: str) -> None:
    """Everything known about one: its state, its steps, its failure, its outcome. As JSON."""

    async def ask(desk: SagaDesk) -> SagaSheet:
        return await desk.show(saga_id)

    sheet = _the_one(_each(composed(), ask), saga_id)
    click.echo(msgspec.json.format(msgspec.json.encode(sheet), indent=2).decode())


@sagas.command()
@click.argument("saga_id")
@click.pass_obj
def resume(composed: Composed, saga_id: str) -> None:
    """Try one that is stuck, waits or backs off again now. Safe to repeat: every step keeps its key."""

    async def ask(desk: SagaDesk) -> bool:
        await desk.resume(saga_id)
        return True

    _the_one(_each(composed(), ask), saga_id)
    click.echo(f"{saga_id} goes on as soon as a worker has a place for it.")


def _each(root: Root, ask: Callable[[SagaDesk], Awaitable[T]]) -> list[T]:
    """The answers of the modules that know the answer, each asked as its own role."""

    async def run() -> list[T]:
        answers: list[T] = []
        try:
            for module in hosted(root):
                if module.sagas:
                    try:
                        answers.append(await ask(SagaDesk(module.database)))
                    except NotFound:
                        continue
        finally:
            await root.shared.connections().close()
        return answers

    return asyncio.run(run())


def _the_one(answers: list[T], saga_id: str) -> T:
    if not answers:
        raise click.ClickException(f"there is no saga {saga_id}, or it has ended already")
    return answers[0]
