"""Demo data for development, put in once through the modules' own use cases."""

from typing import Final, NamedTuple

import asyncpg

from entrypoints.container import Root
from entrypoints.process import running

MARK: Final = "tenon: holds the demo data"


class Login(NamedTuple):
    role: str
    email: str
    password: str


LOGINS: Final = (
    Login("customer", "customer@tenon.example", "correct horse battery staple"),
    Login("admin", "admin@tenon.example", "a shop that never closes"),
)


async def once(url: str, root: Root) -> bool:
    """Fill the database of `url`, unless it was filled before; it remembers that in its own comment."""
    if await _mark(url) == MARK:
        return False
    async with running(root, with_worker=False):
        await fill(root)
    await _set_mark(url)
    return True


async def fill(root: Root) -> None:
    """Repeatable: what a broken run left behind is completed."""


async def _mark(url: str) -> str | None:
    connection = await asyncpg.connect(url)
    try:
        mark: str | None = await connection.fetchval(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()"
        )
        return mark
    finally:
        await connection.close()


async def _set_mark(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        name = await connection.fetchval("select quote_ident(current_database())")
        await connection.execute(f"comment on database {name} is '{MARK}'")  # identifiers only: the database's own name and a constant
    finally:
        await connection.close()
