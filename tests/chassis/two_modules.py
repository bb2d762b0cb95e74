"""Two modules that exist for tests of the chassis alone: `maker` publishes, `keeper` listens and works."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import asyncpg
import msgspec

from shared.domain.events import Delivery, Event
from shared.infra.db.connections import Connections, connector
from shared.infra.db.database import Database
from shared.infra.db.retention import Retention
from shared.infra.db.roles import SETTINGS
from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.events.subscription import Subscription
from shared.infra.schema import chassis, chassis_v1, chassis_v2
from shared.infra.tasks.kind import Cron, Kind
from shared.module import Module

PASSWORD = "two-modules"

_ROLES = """
do $$ begin
    create role tenon_{name}_owner nologin;
    create role tenon_{name} login password '{password}';
    alter role tenon_{name} set search_path = {name}, pg_temp;
    {settings}
exception when duplicate_object or unique_violation then
    null; -- roles are the cluster's: another worker of this run has made them
end $$;
create schema {name} authorization tenon_{name}_owner;
grant usage on schema {name} to tenon_{name};
"""
_MAKER = """
create table thing (id text primary key, version bigint not null);
grant select, insert, update on thing to tenon_maker;
grant usage on schema maker to tenon_keeper;
grant select on event to tenon_keeper;
grant execute on function event_ack(text, integer, xid8) to tenon_keeper;
"""
_KEEPER = """
create table heard (seq bigint generated always as identity, subscription text, key text, version bigint, event_id text, headers text);
grant select, insert on heard to tenon_keeper;
"""
_EMPTY = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid();
truncate maker.event, maker.subscriber, maker.task, maker.thing, keeper.event, keeper.cursor, keeper.task, keeper.cron, keeper.inbox,
    keeper.idempotency_key, keeper.saga, keeper.saga_step, keeper.heard restart identity;
update keeper.cluster_identity set system_identifier = (select system_identifier from pg_control_system());
"""
_SUBSCRIBE = "insert into keeper.cursor (subscription, publisher, consumed) values ($1, 'maker', '1:1:') on conflict do nothing"
_CHANGE = "insert into thing values ($1, 1) on conflict (id) do update set version = thing.version + 1 returning version"


WRITE = """
insert into event (event_id, type, version, key, shard, aggregate_version, payload, headers)
values ('evt_by_hand', 'maker.made', 1, $1, 0, $2, jsonb_build_object('thing_id', $1::text), '{}')
"""
"""What a unit of work would write of a `Made`, for tests that need it in the middle of a transaction."""


class Made(Event, frozen=True):
    thing_id: str
    note: str = ""

    event_type: ClassVar[str] = "maker.made"
    event_key: ClassVar[str] = "thing_id"


class Unwanted(Event, frozen=True):
    thing_id: str

    event_type: ClassVar[str] = "maker.unwanted"
    event_key: ClassVar[str] = "thing_id"


class Seen(msgspec.Struct, frozen=True):
    """What keeper reads of `maker.made`."""

    thing_id: str
    note: str = ""


class Keeping:
    """Keeper's unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self.uow = uow
        self.record = uow.record
        self.enqueue = uow.enqueue

    async def note(self, delivery: Delivery[Seen], subscription: str = "keeper.things") -> None:
        await self.uow.execute(
            "insert into heard (subscription, key, version, event_id, headers) values ($1, $2, $3, $4, $5)",
            subscription, delivery.key, delivery.aggregate_version, delivery.event_id, msgspec.json.encode(delivery.headers).decode(),
        )  # fmt: skip


async def note(work: Keeping, delivery: Delivery[Seen]) -> None:
    await work.note(delivery)


async def lay_out(url: str) -> None:
    """Roles, schemas and tables of both modules in an empty database."""
    connection = await asyncpg.connect(url)
    try:
        for name in ("maker", "keeper"):
            wanted = SETTINGS | {"idle_in_transaction_session_timeout": "1s"}
            settings = "\n".join(f"alter role tenon_{name} set {setting} = '{value}';" for setting, value in wanted.items())
            await connection.execute(_ROLES.format(name=name, password=PASSWORD, settings=settings))
        for name, own in (("maker", _MAKER), ("keeper", _KEEPER)):
            await connection.execute(f"set role tenon_{name}_owner; set search_path = {name}")
            statements: list[str] = []
            chassis.up(statements.append, name, chassis_v1, chassis_v2)
            await connection.execute("".join([*statements, own]))
            await connection.execute("reset role; reset search_path")
    finally:
        await connection.close()


async def empty(url: str) -> None:
    """As it was laid out, whatever a test has left in its tables or still running."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_EMPTY)
    finally:
        await connection.close()


async def subscribe(url: str, *ids: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for id in ids:
            await connection.execute(_SUBSCRIBE, id)
    finally:
        await connection.close()


def connect(url: str, limit: int = 24) -> Connections:
    return Connections(connector(url, lambda role: PASSWORD), limit=limit)


def maker(connections: Connections) -> Module:
    return Module(name="maker", database=Database(connections, "maker"), work=lambda uow: uow, publishes=(Made, Unwanted))


def keeper(
    connections: Connections,
    *subscriptions: Subscription[Any],
    tasks: Sequence[Kind] = (),
    crons: Sequence[Cron] = (),
    retentions: Sequence[Retention] = (),
) -> Module:
    database = Database(connections, "keeper")
    return Module(
        name="keeper", database=database, work=Keeping, subscriptions=subscriptions, tasks=tasks, crons=crons, retentions=retentions
    )


class Maker:
    """The use cases of maker: each changes one thing, or several, and publishes that."""

    def __init__(self, module: Module) -> None:
        self._transact: Transact[UnitOfWork] = Transact(module.database, lambda uow: uow, events=module.publishes)

    async def make(self, *things: str, note: str = "", during: Callable[[], Awaitable[None]] | None = None) -> None:
        """`during` happens after the changes and before the commit."""

        async def work(uow: UnitOfWork) -> None:
            for thing in sorted(things):
                version = await uow.fetchval(_CHANGE, thing)
                uow.record(Made(thing, note), version=version)
            if during is not None:
                await during()

        await self._transact(work)

    async def make_unwanted(self, thing: str) -> None:
        async def work(uow: UnitOfWork) -> None:
            uow.record(Unwanted(thing), version=await uow.fetchval(_CHANGE, thing))

        await self._transact(work)
