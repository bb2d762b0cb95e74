"""Brings a database up to date: roles and schemas, every module's chain, then what subscriptions need across schemas."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from shared.infra.db import roles
from shared.infra.db.chains import MIGRATIONS, NOTHING, Chain
from shared.infra.db.connections import Connection
from shared.infra.events.subscription import Subscription

LOCK: Final = 0x74656E6F6E
"""The advisory lock of a migration: "tenon". Whoever comes second waits, and finds the work done."""


class MigrationFailed(Exception):
    """A migration was refused and rolled back. Those before it stay; run again when the reason is gone."""


@dataclass(frozen=True, slots=True)
class ModuleSchema:
    """What migrating has to know of a module."""

    name: str
    subscriptions: Sequence[Subscription[Any]] = ()


async def migrate(url: str, modules: Sequence[ModuleSchema], password_of: Callable[[str], str], *, root: Path = MIGRATIONS) -> list[str]:
    """Idempotent; several at once are safe. Answers the migrations that it applied, such as `catalog 0002`.

    `url` logs in as a superuser, or as a role that may create roles and owns the database.
    """
    applied: list[str] = []
    async with _session(url) as connection:
        for module in modules:
            await roles.prepare(connection, module.name, password_of(roles.runtime_of(module.name)))
        await roles.close_database(connection, [module.name for module in modules])
        for module in modules:
            chain = Chain(module.name, root)
            current = await _current(connection, module.name)
            if pending := chain.pending(current):
                await _run(connection, module.name, chain.upgrade_sql(current))
                applied += [f"{module.name} {revision}" for revision in pending]
        for module in modules:
            await _grant(connection, module, modules)
            await _place_cursors(connection, module)
    return applied


async def pending(url: str, modules: Sequence[str], *, root: Path = MIGRATIONS) -> dict[str, list[str]]:
    """The migrations that each module's schema lacks, oldest first."""
    connection = await asyncpg.connect(url)
    try:
        return {module: list(Chain(module, root).pending(await _current(connection, module))) for module in modules}
    finally:
        await connection.close()


async def downgrade(url: str, module: str, *, to: str = NOTHING, root: Path = MIGRATIONS) -> None:
    """Undo the migrations after `to`, with the data that they hold."""
    async with _session(url) as connection:
        current = await _current(connection, module)
        if current is not None:
            await _run(connection, module, Chain(module, root).downgrade_sql(current, to))


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[Connection]:
    """One migration at a time in this database. Closing the session frees the lock."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("set statement_timeout = 0; set lock_timeout = 0")
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        await connection.execute("set lock_timeout = '5s'")
        yield connection
    finally:
        await connection.close()


async def _current(connection: Connection, module: str) -> str | None:
    if await connection.fetchval("select to_regclass($1)", f"{module}.alembic_version") is None:
        return None
    revision: str | None = await connection.fetchval(f"select version_num from {module}.alembic_version")  # noqa: S608 - a schema of ours
    return revision


async def _run(connection: Connection, module: str, script: str) -> None:
    """Each migration of the script is a transaction with its own BEGIN and COMMIT."""
    try:
        await connection.execute(script)
    except asyncpg.PostgresError as error:
        raise MigrationFailed(f"{module}: {error}") from error


async def _grant(connection: Connection, consumer: ModuleSchema, modules: Sequence[ModuleSchema]) -> None:
    """A consumer reads the logs that it subscribes to and says how far it has come; of all others it sees nothing.

    Of its own schema it may know the version, so that a process can tell that a migration is pending.
    """
    heard = {subscription.publisher for subscription in consumer.subscriptions}
    role = roles.runtime_of(consumer.name)
    await connection.execute(f"""
        set role {roles.owner_of(consumer.name)};
        grant select on {consumer.name}.alembic_version to {role};
        reset role;
    """)
    for publisher in (module.name for module in modules if module.name != consumer.name):
        verb, preposition = ("grant", "to") if publisher in heard else ("revoke", "from")
        await connection.execute(f"""
            set role {roles.owner_of(publisher)};
            {verb} usage on schema {publisher} {preposition} {role};
            {verb} select on {publisher}.event {preposition} {role};
            {verb} execute on function {publisher}.event_ack(text, integer, xid8) {preposition} {role};
            reset role;
        """)


async def _place_cursors(connection: Connection, consumer: ModuleSchema) -> None:
    """One for each subscription that has none yet: before the log's first event, or after its last.

    The publisher learns of it at once, so that nothing is dropped before the new subscriber has read it.
    """
    for subscription in consumer.subscriptions:
        await connection.execute(f"set role {roles.owner_of(consumer.name)}")
        floor = await connection.fetchval(
            f"""
            insert into {consumer.name}.cursor (subscription, publisher, consumed)
            select $1, $2, case when $3 then '1:1:'::pg_snapshot else pg_current_snapshot() end
            where not exists (select from {consumer.name}.cursor where subscription = $1 and publisher = $2)
            returning pg_snapshot_xmin(consumed)::text
            """,  # noqa: S608 - a schema of ours
            subscription.id,
            subscription.publisher,
            subscription.start == "first",
        )
        if floor is not None:
            await connection.execute(f"set role {roles.owner_of(subscription.publisher)}")
            await connection.execute(
                f"""
                insert into {subscription.publisher}.subscriber (consumer, subscription, floor)
                values ($1, $2, $3::text::xid8) on conflict do nothing
                """,  # noqa: S608 - a schema of ours
                roles.runtime_of(consumer.name),
                subscription.id,
                floor,
            )
        await connection.execute("reset role")
