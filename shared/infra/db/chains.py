"""The migration chains, one per module, as Alembic reads them from `migrations/<module>/`."""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

MIGRATIONS: Final = Path(__file__).resolve().parents[3] / "migrations"
NOTHING: Final = "base"


class Chain:
    """The migrations of one module. `root` holds a folder per module; the environment is always that of `migrations/`."""

    def __init__(self, module: str, root: Path = MIGRATIONS) -> None:
        self.module = module
        self._folder = root / module

    def exists(self) -> bool:
        return self._folder.is_dir()

    def head(self) -> str:
        return ScriptDirectory.from_config(self._config()).get_current_head() or NOTHING

    def pending(self, current: str | None) -> Sequence[str]:
        """The revisions after `current`, oldest first."""
        scripts = ScriptDirectory.from_config(self._config())
        newer = scripts.iterate_revisions("head", current or NOTHING)
        return [script.revision for script in newer if script.revision != current][::-1]

    def upgrade_sql(self, current: str | None = None) -> str:
        """The script that leads from `current` (None: an empty schema) to the head."""
        output = StringIO()
        command.upgrade(self._config(output), f"{current or NOTHING}:head", sql=True)
        return output.getvalue()

    def downgrade_sql(self, current: str, to: str = NOTHING) -> str:
        output = StringIO()
        command.downgrade(self._config(output), f"{current}:{to}", sql=True)
        if to == NOTHING:
            output.write(f"drop table {self.module}.alembic_version;\n")  # Alembic makes it, and leaves it
        return output.getvalue()

    def _config(self, output: StringIO | None = None) -> Config:
        config = Config(output_buffer=output, attributes={"module": self.module})
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("version_locations", str(self._folder))
        config.set_main_option("path_separator", "os")
        return config
