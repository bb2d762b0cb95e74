"""What a module's role can do to others' tables: nothing, but for the logs that it declares to hear."""

import itertools

import asyncpg
import pytest

from shared.infra.db.chains import MIGRATIONS
from shared.infra.db.migrate import ModuleSchema, migrate
from shared.infra.events.subscription import Subscription
from tests.support.application import password_of

MODULES = sorted(folder.name for folder in MIGRATIONS.iterdir() if (folder / "0001_chassis.py").exists())
CONSUMER, PUBLISHER = MODULES[0], MODULES[1]
LISTENING = [ModuleSchema(CONSUMER, [Subscription("of.a.test", PUBLISHER, "database", {})]), *map(ModuleSchema, MODULES[1:])]

TABLES = "select relname from pg_class where relnamespace = $1::regnamespace and relkind::text = any($2)"
CALLABLE = """
select oid::regprocedure::text from pg_proc where pronamespace = $1::regnamespace and has_function_privilege($2, oid, 'execute')
"""


@pytest.fixture(scope="module")
async def migrated_url(empty_database):
    await migrate(empty_database, LISTENING, password_of)
    return empty_database


@pytest.fixture
async def admin(migrated_url):
    connection = await asyncpg.connect(migrated_url)
    yield connection
    await connection.close()


@pytest.fixture
async def as_role(migrated_url):
    opened = []

    async def connect(module):
        opened.append(await asyncpg.connect(migrated_url, user=f"tenon_{module}", password=password_of(f"tenon_{module}")))
        return opened[-1]

    yield connect
    for connection in opened:
        await connection.close()


async def refused(connection, sql):
    try:
        await connection.execute(sql)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


@pytest.mark.parametrize(("module", "other"), list(itertools.permutations(MODULES, 2)))
async def test_a_module_can_neither_read_nor_write_a_table_of_another(admin, as_role, module, other):
    connection = await as_role(module)
    heard = {"event"} if (module, other) == (CONSUMER, PUBLISHER) else set()
    tables = {row[0] for row in await admin.fetch(TABLES, other, ["r", "p", "v", "m"])}
    sequences = {row[0] for row in await admin.fetch(TABLES, other, ["S"])}
    assert {"event", "task", "saga", "cursor", "idempotency_key"} <= tables

    for table in tables - heard | sequences:
        assert await refused(connection, f"select 1 from {other}.{table}"), f"{module} reads {other}.{table}"
    for table in tables:
        for write in (f"insert into {other}.{table} default values", f"delete from {other}.{table}", f"truncate {other}.{table}"):
            assert await refused(connection, write), f"{module}: {write}"


@pytest.mark.parametrize(("module", "other"), list(itertools.permutations(MODULES, 2)))
async def test_a_module_can_call_no_function_of_another(admin, module, other):
    functions = {row[0] for row in await admin.fetch(CALLABLE, other, f"tenon_{other}")}
    assert f"{other}.event_ack(text,integer,xid8)" in functions
    allowed = {row[0] for row in await admin.fetch(CALLABLE, other, f"tenon_{module}")}
    assert allowed == ({f"{other}.event_ack(text,integer,xid8)"} if (module, other) == (CONSUMER, PUBLISHER) else set())


async def test_a_subscriber_reads_the_log_and_says_how_far_it_has_come(as_role):
    connection = await as_role(CONSUMER)
    await connection.execute(f"select * from {PUBLISHER}.event")
    await connection.execute(f"select {PUBLISHER}.event_ack('of.a.test', 0, '1'::xid8)")
    assert tuple(await connection.fetchrow("select subscription, publisher, consumed::text from cursor")) == (
        "of.a.test",
        PUBLISHER,
        "1:1:",
    )


async def test_a_publisher_knows_its_subscriber_before_the_first_report(admin):
    known = await admin.fetch(f"select consumer, subscription from {PUBLISHER}.subscriber where subscription = 'of.a.test'")
    assert [tuple(row) for row in known] == [(f"tenon_{CONSUMER}", "of.a.test")]


async def test_a_subscription_that_is_not_declared_any_more_takes_its_rights_along(empty_database, as_role):
    connection = await as_role(CONSUMER)
    try:
        await migrate(empty_database, [ModuleSchema(module) for module in MODULES], password_of)
        assert await refused(connection, f"select * from {PUBLISHER}.event")
    finally:
        await migrate(empty_database, LISTENING, password_of)
    assert not await refused(connection, f"select * from {PUBLISHER}.event")


@pytest.mark.parametrize("module", MODULES)
async def test_the_runtime_role_may_not_say_what_the_log_itself_says(as_role, module):
    connection = await as_role(module)
    columns = "event_id, type, version, key, shard, aggregate_version, payload, headers"
    values = "'e', 't', 1, 'k', 0, 1, '{}', '{}'"
    await connection.execute(f"begin; insert into event ({columns}) values ({values}); rollback")
    for forged, value in (("id", "1"), ("xid", "'1'::xid8"), ("created_at", "now()")):
        assert await refused(connection, f"insert into event ({columns}, {forged}) overriding system value values ({values}, {value})")
    for change in ("update event set type = 'x'", "delete from event", "truncate event", "drop table event"):
        assert await refused(connection, change)


@pytest.mark.parametrize("module", MODULES)
async def test_the_runtime_role_can_make_nothing_anywhere(as_role, module):
    connection = await as_role(module)
    for attempt in (
        "create table loot (a int)",
        "create temporary table loot (a int)",
        "create table public.loot (a int)",
        "create schema loot",
        f"set role tenon_{module}_owner",
        "alter table event disable trigger all",
        "drop table task",
    ):
        assert await refused(connection, attempt), attempt


@pytest.mark.parametrize("module", MODULES)
async def test_the_owner_cannot_log_in_and_owns_everything_of_its_schema(admin, module):
    assert (
        await admin.fetchval("select rolcanlogin or rolsuper or rolcreaterole from pg_roles where rolname = $1", f"tenon_{module}_owner")
        is False
    )
    owners = "select distinct relowner::regrole::text from pg_class where relnamespace = $1::regnamespace"
    assert [row[0] for row in await admin.fetch(owners, module)] == [f"tenon_{module}_owner"]


DEPENDENCIES = """
with part as (
    select 'pg_class'::regclass as catalog, oid, relnamespace as space from pg_class
    union all select 'pg_proc'::regclass, oid, pronamespace from pg_proc
    union all select 'pg_type'::regclass, oid, typnamespace from pg_type
    union all select 'pg_constraint'::regclass, oid, connamespace from pg_constraint
    union all select 'pg_rewrite'::regclass, r.oid, c.relnamespace from pg_rewrite r join pg_class c on c.oid = r.ev_class
    union all select 'pg_trigger'::regclass, t.oid, c.relnamespace from pg_trigger t join pg_class c on c.oid = t.tgrelid
    union all select 'pg_attrdef'::regclass, d.oid, c.relnamespace from pg_attrdef d join pg_class c on c.oid = d.adrelid
)
select a.space::regnamespace::text as one, b.space::regnamespace::text as other, pg_describe_object(d.classid, d.objid, d.objsubid) as what
from pg_depend d join part a on (a.catalog, a.oid) = (d.classid, d.objid) join part b on (b.catalog, b.oid) = (d.refclassid, d.refobjid)
where a.space <> b.space and a.space::regnamespace::text = any($1)
    and b.space not in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)
"""
MENTIONS = """
select p.oid::regprocedure::text from pg_proc p, unnest($1::text[]) other
where p.pronamespace::regnamespace::text = any($1) and p.pronamespace <> other::regnamespace and p.prosrc ~* ('\\m' || other || '\\.')
"""


async def test_nothing_of_a_schema_depends_on_another(admin):
    assert await admin.fetch(DEPENDENCIES, MODULES) == []
    assert await admin.fetch(MENTIONS, MODULES) == []


@pytest.mark.parametrize(
    "planted",
    [
        "create table {a}.planted (key text references {b}.planted_key)",
        "create view {a}.planted as select * from {b}.event",
        "create function {a}.planted() returns bigint language sql return (select count(*) from {b}.event)",
        "create table {a}.planted (like {b}.event); alter table {a}.planted add column t {b}.event",
    ],
    ids=["foreign key", "view", "function", "type"],
)
async def test_a_planted_dependency_is_found(admin, planted):
    await admin.execute("begin")
    try:
        await admin.execute(f"create table {PUBLISHER}.planted_key (key text primary key)")
        await admin.execute(planted.format(a=CONSUMER, b=PUBLISHER))
        assert await admin.fetch(DEPENDENCIES, MODULES)
    finally:
        await admin.execute("rollback")


async def test_a_planted_function_that_only_names_another_schema_is_found(admin):
    await admin.execute("begin")
    try:
        body = f"begin return (select count(*) from {PUBLISHER}.event); end"
        await admin.execute(f"create function {CONSUMER}.planted() returns bigint language plpgsql as '{body}'")
        assert await admin.fetch(MENTIONS, MODULES)
    finally:
        await admin.execute("rollback")
