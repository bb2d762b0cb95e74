"""`tenon sagas`: what an operator asks about sagas, and the one thing to do about a stuck one."""

import click

from entrypoints.commands import columns
from entrypoints.commands.deliveries import Composed, document, each, more, newest, one_line, the_one, time
from shared.domain.errors import NotFound
from shared.infra.saga.desk import SagaDesk, SagaRow, SagaSheet
from shared.module import Module

STATES = ("running", "waiting", "compensating", "stuck", "done", "failed")


@click.group()
def sagas() -> None:
    """Changes in several modules, under way or stuck."""


@sagas.command("list")
@click.option("--state", type=click.Choice(STATES), help="Instead of all that have not ended.")
@click.option("--key", help="The id of what it is about, such as an order's.")
@click.option("--before", metavar="ID", help="Go on after the last one of the page before.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.pass_obj
def find(composed: Composed, state: str | None, key: str | None, before: str | None, limit: int) -> None:
    """What has not ended, or is in one state; the newest first."""

    async def ask(module: Module) -> list[SagaRow]:
        return await _desk(module).list(state=state, key=key, before=before, limit=limit)

    rows = newest(each(composed(), ask), limit)
    lines = []
    for row in rows:
        progress = (row.state, str(row.position), str(row.attempts), time(row.started_at))
        lines.append((row.id, f"{row.name} v{row.version}", row.key, *progress, one_line(row.last_error)))
    headings = ("id", "saga", "about", "state", "position", "failures", "started", "last error")
    columns.show(headings, lines, none=f"None is {state}." if state else "All have ended.")
    more(rows, limit)


@sagas.command()
@click.argument("saga_id", metavar="ID")
@click.pass_obj
def show(composed: Composed, saga_id: str) -> None:
    """Everything known about one, with its steps, as JSON."""

    async def ask(module: Module) -> SagaSheet:
        return await _desk(module).show(saga_id)

    document(the_one(each(composed(), ask), f"saga {saga_id}"))


@sagas.command()
@click.argument("saga_id", metavar="ID")
@click.pass_obj
def resume(composed: Composed, saga_id: str) -> None:
    """Try a stuck, waiting or delayed one now. Safe to repeat: every step keeps its key."""

    async def ask(module: Module) -> bool:
        await _desk(module).resume(saga_id)
        return True

    the_one(each(composed(), ask), f"saga {saga_id} that has not ended")
    click.echo(f"{saga_id} goes on as soon as a worker has a place for it.")


def _desk(module: Module) -> SagaDesk:
    if not module.sagas:
        raise NotFound(f"{module.name} has no sagas")
    return SagaDesk(module.database)
