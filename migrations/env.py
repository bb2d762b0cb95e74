"""Renders the SQL of one module's chain, which shared/infra/db/migrate.py then runs: what is reviewed and linted is what runs."""

from typing import Any

from alembic import context
from alembic.ddl.postgresql import PostgresqlImpl

from shared.infra.db.roles import owner_of


class Verbatim(PostgresqlImpl):
    """`op.execute("…")` is SQL as it stands: a colon or a percent sign in it means nothing to anybody else."""

    __dialect__ = "postgresql"

    def execute(self, sql: Any, execution_options: dict[str, Any] | None = None) -> None:
        if isinstance(sql, str):
            self.static_output(sql.strip().rstrip(";") + self.command_terminator)
        else:
            super().execute(sql, execution_options)


def render(module: str) -> None:
    """As the owner of the schema, in that schema, and never waiting long for a lock: who waits for one makes others wait."""
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},
        literal_binds=True,
        transactional_ddl=True,
        transaction_per_migration=True,
        version_table_schema=module,
    )
    for command in (f"role {owner_of(module)}", f"search_path = {module}, pg_temp", "lock_timeout = '5s'", "statement_timeout = '5min'"):
        context.execute(f"set {command}")  # identifiers only: roles, schemas and times of our own
    with context.begin_transaction():
        context.run_migrations()
    context.execute("reset role")


if not context.is_offline_mode():
    raise SystemExit("run `tenon db migrate`, which makes the roles and schemas first and grants what subscriptions need")
render(context.config.attributes["module"])
