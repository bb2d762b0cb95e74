"""Who may do what in Postgres: per module a schema, a role that owns it and cannot log in, and a role that runs in it."""

import asyncio
import random
from base64 import b64encode
from collections.abc import Awaitable, Callable
from hashlib import pbkdf2_hmac, sha256
from hmac import digest
from secrets import token_bytes
from typing import Final

import asyncpg

from shared.infra.db.connections import Connection
from shared.infra.db.errors import sqlstate

SETTINGS: Final = {
    "statement_timeout": "10s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "10s",
    "client_connection_check_interval": "1s",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "timezone": "UTC",
}
"""Set on the runtime roles, never by a session. The timeouts fence a frozen process, and the
check ends the statement of a dead one, which may hold locks while it waits for another; generic plans keep the hot statements'
plans: with array parameters Postgres would plan each execution anew."""

MEANWHILE: Final = frozenset({"XX000", "42710", "23505", "40P01"})
"""What Postgres answers when another migration writes the same role: tuple concurrently updated, duplicate, unique, deadlock."""

PATIENCE: Final = 30
SCRAM_ROUNDS: Final = 4096


def runtime_of(module: str) -> str:
    return f"tenon_{module}"


def owner_of(module: str) -> str:
    return f"tenon_{module}_owner"


async def prepare(connection: Connection, module: str, password: str) -> None:
    """The roles and the schema of `module`, made or brought up to date. Roles are the cluster's, so that the migrations of
    several of its databases may meet here."""
    await _patiently(lambda: _roles(connection, module, password))
    owner, runtime = owner_of(module), runtime_of(module)
    await connection.execute(f"create schema if not exists {module} authorization {owner}")
    await connection.execute(f"""
        set role {owner};
        revoke all on schema {module} from public;
        grant usage on schema {module} to {runtime};
        alter default privileges revoke execute on functions from public;
        reset role;
    """)


async def close_database(connection: Connection, modules: list[str]) -> None:
    """Nobody but the roles named here enters the database or makes temporary tables, as far as it is ours to say so."""
    name, ours = await connection.fetchrow(
        "select quote_ident(datname), pg_has_role(datdba, 'USAGE') from pg_database where datname = current_database()"
    ) or ("", False)
    if ours:
        runtimes = ", ".join(runtime_of(module) for module in modules)
        await connection.execute(f"revoke connect, temporary on database {name} from public")
        await connection.execute(f"grant connect on database {name} to {runtimes}")


async def _roles(connection: Connection, module: str, password: str) -> None:
    owner, runtime = owner_of(module), runtime_of(module)
    known = {row["rolname"] for row in await connection.fetch("select rolname from pg_roles where rolname = any($1)", [owner, runtime])}
    if owner not in known:
        await connection.execute(f"create role {owner} nologin")
    if runtime not in known:
        await connection.execute(f"create role {runtime} login")
    if not await connection.fetchval("select rolsuper from pg_roles where rolname = current_user"):
        await connection.execute(f"grant {owner} to current_user")
    await connection.execute(f"alter role {runtime} login password '{verifier(password)}'")
    wanted = SETTINGS | {"search_path": f"{module}, pg_temp"}
    found = await connection.fetchval("select setconfig from pg_db_role_setting where setdatabase = 0 and setrole = $1::regrole", runtime)
    settings = dict(entry.split("=", 1) for entry in found or ())
    for setting, value in wanted.items():
        if settings.get("TimeZone" if setting == "timezone" else setting) != value:
            text = value if setting == "search_path" else f"'{value}'"
            await connection.execute(f"alter role {runtime} set {setting} = {text}")


async def _patiently(work: Callable[[], Awaitable[None]]) -> None:
    for _ in range(PATIENCE):
        try:
            await work()
        except asyncpg.PostgresError as error:
            if sqlstate(error) not in MEANWHILE:
                raise
        else:
            return
        await asyncio.sleep(random.random() * 0.1)  # noqa: S311 - jitter, not a secret
    await work()


def verifier(password: str) -> str:
    """What Postgres keeps of a password (RFC 5803), made here so that no password stands in a statement that may be logged."""
    salt = token_bytes(16)
    salted = pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ROUNDS)
    stored = sha256(digest(salted, b"Client Key", "sha256")).digest()
    server = digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${SCRAM_ROUNDS}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
