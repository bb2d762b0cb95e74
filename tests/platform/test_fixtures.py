"""The fixtures that tests of the whole application rely on."""

from collections.abc import Awaitable, Callable

import asyncpg
import httpx

from entrypoints.container import Root
from tests.support.plans import explain


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


async def test_a_plan_tells_what_was_looked_at_wanted_or_not(empty_database: str):
    admin = await asyncpg.connect(empty_database)
    await admin.execute("""
        create table shelf (id integer primary key, kind text not null);
        insert into shelf select n, case when n <= 5 then 'rare' else 'common' end from generate_series(1, 20000) n;
        analyze shelf;
        set plan_cache_mode = force_generic_plan;
        set enable_bitmapscan = off
    """)
    walked = await explain(admin, "select id from shelf where id < $1 order by id desc limit 3", [15_000])
    assert (walked.scanned(), walked.read()) == (set(), 3)
    assert walked.pages() < 10
    thrown_away = await explain(admin, "select id from shelf where kind = $1 order by id desc limit 3", ["rare"])
    assert (thrown_away.scanned(), thrown_away.read()) == (set(), 19_998)
    assert thrown_away.pages() > 50
    assert (await explain(admin, "select max(kind) from shelf", [])).scanned() == {"shelf"}
    await admin.close()
