"""The fixtures that tests of the whole application rely on."""

from collections.abc import Awaitable, Callable

import asyncpg
import httpx

from entrypoints.container import Root


async def note(dsn: str) -> bool:
    """Leave a mark in the database; whether it was left before."""
    connection = await asyncpg.connect(dsn)
    try:
        left = await connection.fetchval("select to_regclass('public.mark') is not null")
        await connection.execute("create table if not exists public.mark ()")
        return bool(left)
    finally:
        await connection.close()


async def test_the_client_speaks_to_a_ready_application(client: httpx.AsyncClient, settle: Callable[[], Awaitable[None]]):
    answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    await settle()


async def test_a_file_has_a_database_of_its_own_which_its_fixtures_share(admin_dsn: str, container: Root):
    assert not await note(admin_dsn)
    assert await note(container.settings().database_url)


async def test_a_fresh_container_has_a_database_of_its_own(fresh_container: Root, fresh_client: httpx.AsyncClient):
    assert not await note(fresh_container.settings().database_url)
    assert (await fresh_client.get("/v1/products")).json()["data"] == []
