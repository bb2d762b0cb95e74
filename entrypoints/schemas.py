"""The database as the commands see it: brought up to date for all modules, its state, and the SQL that would run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.infra.config import Settings
from shared.infra.db import migrate as migrations
from shared.infra.db.chains import Chain
from shared.infra.secrets import role_password
from shared.module import Module


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
