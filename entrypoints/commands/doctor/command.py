"""`tenon doctor`: everything looked at, each finding with its fix."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.markup import escape

from entrypoints.commands.doctor import machine, postgres
from entrypoints.commands.doctor.backlog import backlog
from entrypoints.commands.doctor.findings import SEVERITIES, Finding, Severity, error
from entrypoints.container import Root, hosted
from shared.domain.errors import DomainError
from shared.infra.config import ConfigurationError
from shared.infra.db.roles import runtime_of

MARKS: Final = {"ok": "[green]✓[/green]", "note": "[cyan]i[/cyan]", "warning": "[yellow]![/yellow]", "error": "[red]✗[/red]"}


@click.command()
@click.option("--processes", type=click.IntRange(1, 1000), default=2, show_default=True, help="API and worker processes together.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def doctor(composed: Callable[[], Root], processes: int, as_json: bool) -> None:
    """Look at this machine, the servers and the backlog.

    Every finding comes with its fix. Exits 1 when there is an error.
    """
    findings = examine(composed, processes)
    numbers = Counter(finding.severity for finding in findings)
    if as_json:
        report = {"errors": numbers["error"], "warnings": numbers["warning"], "findings": findings}
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        _print(findings, numbers)
    sys.exit(numbers["error"] > 0)


def examine(composed: Callable[[], Root], processes: int) -> list[Finding]:
    """The gravest first."""
    try:
        root = composed()
        modules = hosted(root)
    except ConfigurationError as refused:
        found = [machine.python(), *(error("settings", fault, "see docs/configuration.md") for fault in refused.faults)]
    else:
        found = asyncio.run(_examine(root, [module.name for module in modules], processes))
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


async def _examine(root: Root, names: list[str], processes: int) -> list[Finding]:
    settings, shared = root.settings(), root.shared
    redis = shared.redis()
    try:
        return [
            machine.python(),
            *machine.secrets(settings),
            machine.modules(settings, [module.name for module in root.modules()]),
            await machine.port(settings),
            await machine.mail(settings),
            await machine.redis(redis),
            *await _database(root, names, processes),
        ]
    finally:
        await redis.aclose()
        await shared.connections().close()


async def _database(root: Root, names: list[str], processes: int) -> list[Finding]:
    connect = root.shared.connect()
    able, found = await postgres.logins(names, connect)
    if not able:
        return found
    connection = await connect(runtime_of(able[0]))
    try:
        found += await postgres.server(connection, root.settings(), root.shared.clock(), processes)
    finally:
        await connection.close()
    found += (pending := await postgres.migrations(able, connect))
    if any(finding.severity == "error" for finding in pending):
        return found  # what is asked next may not exist yet
    try:
        return found + await backlog([module for module in root.modules() if module.name in able])
    except DomainError as refused:
        return [*found, error("backlog", f"the modules cannot be asked: {refused.detail}", "look again, and then at the log of Postgres")]


def _print(findings: list[Finding], numbers: Counter[Severity]) -> None:
    say = Console(highlight=False, soft_wrap=True).print
    for finding in findings:
        say(f" {MARKS[finding.severity]} [bold]{finding.check}[/bold]  {escape(finding.says)}")
        if finding.fix:
            say(f"     [dim]fix:[/dim] {escape(finding.fix)}")
    say(f"\n{numbers['error']} errors, {numbers['warning']} warnings, {numbers['note']} notes, {numbers['ok']} things in order")
