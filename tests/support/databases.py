"""Databases of a test server: created, cloned from a template and dropped. Names are our own, never input."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg

if TYPE_CHECKING:
    from tests.support.run import Run


def on(server_url: str, database: str) -> str:
    """The URL of `database` on the server of `server_url`."""
    return urlsplit(server_url)._replace(path=f"/{database}").geturl()


@asynccontextmanager
async def lent(run: "Run", template: str = "template0") -> AsyncIterator[str]:
    """A database for as long as it is needed: the superuser's URL."""
    name = f"{run.id}_{uuid.uuid4().hex[:12]}"
    await execute(run.postgres_url, f'create database "{name}" template "{template}"')
    try:
        yield on(run.postgres_url, name)
    finally:
        await execute(run.postgres_url, f'drop database if exists "{name}" with (force)')


async def drop_all(server_url: str, prefix: str) -> None:
    connection = await asyncpg.connect(server_url)
    try:
        names = await connection.fetch("select datname from pg_database where starts_with(datname, $1)", prefix)
        for (name,) in names:
            await connection.execute(f'drop database if exists "{name}" with (force)')
    finally:
        await connection.close()


async def execute(server_url: str, statement: str) -> None:
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
