"""The database as the commands see it: brought up to date for all modules, its state, and the SQL that would run."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import click

from shared.infra.config import Settings
from shared.infra.db import migrate as migrations
from shared.infra.db.chains import Chain
from shared.infra.secrets import role_password
from shared.module import Module

T = TypeVar("T")


def done(work: Coroutine[Any, Any, T], variable: str) -> T:
    """The result of `work` on the database that `variable` names; what stands in its way is told without a stack."""
    try:
        return asyncio.run(work)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, migrations.MigrationFailed) as error:
        raise click.ClickException(f"the database of {variable}: {str(error) or type(error).__name__}") from None


async def migrate(url: str, settings: Settings, modules: Sequence[Module]) -> list[str]:
    """Every module's schema, whichever this process hosts: `url` is the owner's. Answers what was applied."""
    schemas = [migrations.ModuleSchema(module.name, module.subscriptions) for module in modules]
    return await migrations.migrate(url, schemas, role_password(settings.db_secret))


async def pending(url: str, modules: Sequence[str]) -> Mapping[str, list[str]]:
    return await migrations.pending(url, modules)


async def downgrade(url: str, module: str, to: str) -> None:
    await migrations.downgrade(url, module, to=to)


def write_sql(folder: Path, modules: Sequence[str]) -> None:
    """One file per module, as it would run on an empty schema: what the SQL linter reads."""
    folder.mkdir(parents=True, exist_ok=True)
    for module in modules:
        (folder / f"{module}.sql").write_text(Chain(module).upgrade_sql(), encoding="utf-8")
