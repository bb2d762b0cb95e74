"""Databases of a test server: created, cloned from a template and dropped. Names are our own, never input."""

from urllib.parse import urlsplit

import asyncpg


def on(server_url: str, database: str) -> str:
    """The URL of `database` on the server of `server_url`."""
    return urlsplit(server_url)._replace(path=f"/{database}").geturl()


async def create(server_url: str, name: str, template: str = "template0") -> str:
    await _run(server_url, f'create database "{name}" template "{template}"')
    return on(server_url, name)


async def drop(server_url: str, name: str) -> None:
    await _run(server_url, f'drop database if exists "{name}" with (force)')


async def drop_all(server_url: str, prefix: str) -> None:
    connection = await asyncpg.connect(server_url)
    try:
        names = await connection.fetch("select datname from pg_database where starts_with(datname, $1)", prefix)
        for (name,) in names:
            await connection.execute(f'drop database if exists "{name}" with (force)')
    finally:
        await connection.close()


async def _run(server_url: str, statement: str) -> None:
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
