"""Migrating: repeatable, safe side by side, undone exactly, and possible without being a superuser."""

import asyncio
import uuid
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import asyncpg
import pytest

from shared.infra.db.chains import MIGRATIONS, NOTHING, Chain
from shared.infra.db.migrate import MigrationFailed, ModuleSchema, downgrade, migrate, pending
from shared.infra.events.subscription import Subscription
from tests.chassis.db.till import ROOT, SHELF, TILL, connected
from tests.support import databases
from tests.support.application import password_of

MODULES = sorted(folder.name for folder in MIGRATIONS.iterdir() if (folder / "0001_chassis.py").exists())

INVENTORY = """
select c.relname as name, format('%s %s %s', c.relkind, c.relacl, a.columns) as what
from pg_class c left join lateral (
    select string_agg(format('%s %s %s %s %s', attname, format_type(atttypid, atttypmod), attnotnull, attacl,
        (select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = attrelid and adnum = attnum)), ', ' order by attnum) as columns
    from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped
) a on true where relnamespace = $1::regnamespace
union all select conname || ' of ' || conrelid::regclass, pg_get_constraintdef(oid) from pg_constraint where connamespace = $1::regnamespace
union all select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index join pg_class on pg_class.oid = indexrelid
    where relnamespace = $1::regnamespace
union all select proname, format('%s %s', proacl, pg_get_functiondef(oid)) from pg_proc where pronamespace = $1::regnamespace
union all select tgname, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
union all select typname, typtype::text from pg_type where typnamespace = $1::regnamespace and typtype <> 'c' and typelem = 0
order by 1, 2
"""
"""Everything in a schema, with its rights."""


@pytest.fixture
async def fresh_url(run):
    async with databases.lent(run) as url:
        yield url


async def inventory(url, schema):
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(INVENTORY, schema)]
    finally:
        await connection.close()


async def test_a_second_migration_finds_nothing_to_do(fresh_url):
    assert await migrate(fresh_url, [TILL, SHELF], password_of, root=ROOT) == ["till 0001", "till 0002", "shelf 0001"]
    assert await migrate(fresh_url, [TILL, SHELF], password_of, root=ROOT) == []


async def test_what_is_missing_can_be_asked_before(fresh_url):
    assert await pending(fresh_url, ["till"], root=ROOT) == {"till": ["0001", "0002"]}
    await migrate(fresh_url, [TILL], password_of, root=ROOT)
    await downgrade(fresh_url, "till", to="0001", root=ROOT)
    assert await pending(fresh_url, ["till"], root=ROOT) == {"till": ["0002"]}
    assert await migrate(fresh_url, [TILL], password_of, root=ROOT) == ["till 0002"]


async def test_two_at_once_in_one_database_do_the_work_once(fresh_url):
    applied = await asyncio.gather(*(migrate(fresh_url, [TILL, SHELF], password_of, root=ROOT) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, 3]


async def test_several_databases_of_one_cluster_may_be_migrated_at_once(run):
    """The roles are the cluster's: each of these writes the same ones."""
    async with AsyncExitStack() as lent:
        urls = [await lent.enter_async_context(databases.lent(run)) for _ in range(6)]
        applied = await asyncio.gather(*(migrate(url, [TILL, SHELF], password_of, root=ROOT) for url in urls))
        assert [len(each) for each in applied] == [3] * 6


async def test_a_migration_that_fails_leaves_nothing_of_itself_and_keeps_those_before(fresh_url, tmp_path):
    folder = tmp_path / "till"
    folder.mkdir()
    for revision in (ROOT / "till").glob("*.py"):
        (folder / revision.name).write_text(revision.read_text())
    script = '"""Broken."""\nfrom alembic import op\nrevision = "0003"\ndown_revision = "0002"\n'
    script += "def upgrade():\n    op.execute('create table half ()')\n    op.execute('create table account ()')\n"
    (folder / "0003_broken.py").write_text(script)

    with pytest.raises(MigrationFailed, match="account"):
        await migrate(fresh_url, [TILL], password_of, root=tmp_path)

    assert await pending(fresh_url, ["till"], root=tmp_path) == {"till": ["0003"]}
    assert not [name for name, _ in await inventory(fresh_url, "till") if name == "half"]


async def test_who_waits_for_a_lock_gives_up_before_others_suffer(fresh_url):
    await migrate(fresh_url, [TILL], password_of, root=ROOT)
    reader = await asyncpg.connect(fresh_url)
    try:
        await reader.execute("begin; select * from till.account")
        with pytest.raises(MigrationFailed, match="lock timeout"):
            await downgrade(fresh_url, "till", to="0001", root=ROOT)
    finally:
        await reader.close()


async def test_sql_is_taken_as_it_stands(fresh_url):
    await migrate(fresh_url, [TILL], password_of, root=ROOT)
    async with connected(fresh_url) as database:
        await database.fetch("insert into account (id) values ('a')")
        assert await database.fetchval("select labels from account") == '{"a:b": "100%"}'


@pytest.fixture
def kiosk(tmp_path):
    """A module with a name of its own for each test, because roles belong to who made them, and to the whole cluster."""
    name = f"kiosk_{uuid.uuid4().hex[:8]}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "0001_chassis.py").write_text((ROOT / "shelf" / "0001_chassis.py").read_text().replace("shelf", name))
    return ModuleSchema(name, [Subscription(f"{name}.itself", name, "database", {}, "now")])


async def test_the_owner_of_the_database_needs_no_superuser(run, kiosk, tmp_path):
    """A role that may create roles is enough, as on a managed Postgres."""
    migrator = f"{run.id}_migrator"
    admin = await asyncpg.connect(run.postgres_url)
    await admin.execute(f"create role {migrator} login createrole createdb password 'migrates'")
    try:
        async with databases.lent(run) as url:
            parts = urlsplit(url)
            await admin.execute(f'alter database "{parts.path[1:]}" owner to {migrator}')
            target = parts._replace(netloc=f"{migrator}:migrates@{parts.hostname}:{parts.port}").geturl()
            assert len(await migrate(target, [kiosk], password_of, root=tmp_path)) == 1
            assert await migrate(target, [kiosk], password_of, root=tmp_path) == []
            async with connected(target) as database:
                database.role = f"tenon_{kiosk.name}"
                assert await database.fetchval("select consumed::text <> '1:1:' from cursor")
    finally:
        await admin.execute(f"drop role if exists tenon_{kiosk.name}, tenon_{kiosk.name}_owner, {migrator}")
        await admin.close()


@pytest.mark.parametrize("module", MODULES)
async def test_up_down_up_leaves_what_one_way_up_does(fresh_url, module):
    """Also when going down stops at each migration on the way."""
    await migrate(fresh_url, [ModuleSchema(module)], password_of)
    upgraded = await inventory(fresh_url, module)

    for revision in [NOTHING, *Chain(module).pending(None)[:-1]]:
        await downgrade(fresh_url, module, to=revision)
        if revision == NOTHING:
            assert await inventory(fresh_url, module) == []
        await migrate(fresh_url, [ModuleSchema(module)], password_of)
        assert await inventory(fresh_url, module) == upgraded
