"""`tenon doctor` on real servers: well, and with one fault after the other planted."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
import pytest
from click.testing import CliRunner
from dependency_injector import providers

from entrypoints.commands.doctor import machine
from entrypoints.commands.doctor.command import doctor
from entrypoints.commands.doctor.findings import Finding
from entrypoints.commands.doctor.postgres import version
from entrypoints.container import Root, compose
from shared.infra.config import Settings, load
from shared.infra.db.connections import Connection
from shared.infra.secrets import Secret
from tests.support import databases
from tests.support.run import Run

Findings = dict[str, list[dict[str, str]]]


@pytest.fixture
async def well(settings: Settings) -> Settings:
    """Strong secrets are not to be had here: the roles of all tests share one password."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    return msgspec.structs.replace(settings, port=free)


@pytest.fixture
async def admin(settings: Settings) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(settings.database_url)
    yield connection
    await connection.close()


async def examined(settings: Settings, *arguments: str, clock: Any = None) -> tuple[int, Findings]:
    """The exit status and what is not in order, by check. In a thread, because the command has an event loop of its own."""

    def root() -> Root:
        composed = compose(settings)
        if clock is not None:
            composed.shared.clock.override(providers.Object(clock))
        return composed

    done = await asyncio.to_thread(lambda: CliRunner().invoke(doctor, ["--json", *arguments], obj=root))
    report = json.loads(done.stdout)
    found: Findings = {}
    for each in report["findings"]:
        if each["severity"] != "ok":
            assert each["fix"], each
            found.setdefault(each["check"], []).append(each)
    assert report["errors"] == sum(each["severity"] == "error" for every in found.values() for each in every)
    return done.exit_code, found


def only(found: Findings, check: str, severity: str, *words: str) -> None:
    """Nothing else is found than one fault of `check`, beside that the tests' secrets are one and the same."""
    assert set(found) - {"secrets"} == {check}, found
    (fault,) = found[check]
    assert fault["severity"] == severity, fault
    assert [word for word in words if word not in fault["says"] + fault["fix"]] == [], fault


async def test_of_a_system_that_is_well_nothing_is_said_but_that_the_tests_share_a_secret(well: Settings):
    status, found = await examined(well)
    assert (status, set(found)) == (0, {"secrets"})
    assert "one leak opens both" in found["secrets"][0]["says"]


async def test_the_findings_are_told_to_people_with_the_gravest_first_and_their_fixes(well: Settings):
    ill = msgspec.structs.replace(well, redis_url="redis://127.0.0.1:1/0", mail_url="file:///dev/null/outbox")
    said = (await asyncio.to_thread(lambda: CliRunner().invoke(doctor, obj=lambda: compose(ill)))).stdout.splitlines()
    assert [line.split()[:2] for line in said if line.startswith((" ✗", " !"))] == [
        ["✗", "mail"],
        ["!", "secrets"],
        ["!", "redis"],
    ]
    assert "fix: make it writable, or change TENON_MAIL_URL" in said[1]
    assert said[-1].startswith("1 errors, 2 warnings, 0 notes, ")


async def test_wrong_settings_are_all_told_and_nothing_else_is_looked_at():
    def root() -> Root:
        return compose(load({"TENON_DATABASE_URL": "mysql://127.0.0.1", "TENON_REDDIS_URL": "redis://127.0.0.1"}))

    done = await asyncio.to_thread(lambda: CliRunner().invoke(doctor, ["--json"], obj=root))
    faults = [each["says"] for each in json.loads(done.stdout)["findings"] if each["check"] == "settings"]
    assert done.exit_code == 1
    assert [name for name in ("TENON_DATABASE_URL", "TENON_REDDIS_URL", "TENON_SECRET") if not any(name in each for each in faults)] == []


def test_an_old_python_is_found():
    assert machine.python((3, 10, 14)).severity == "error"
    assert machine.python().severity == "ok"


async def test_weak_secrets_are_found(well: Settings):
    weak = msgspec.structs.replace(well, secret=Secret("short"))
    assert [each["says"] for each in (await examined(weak))[1]["secrets"]] == [
        "TENON_SECRET is shorter than 32 bytes; production would refuse it"
    ]


async def test_a_port_that_another_program_has_is_found_and_one_of_a_running_tenon_is_not(well: Settings):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = msgspec.structs.replace(well, port=other.getsockname()[1])
        status, found = await examined(taken)
    assert status == 1
    only(found, "port", "error", "taken by another program", "TENON_PORT")

    async def alive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\nConnection: close\r\n\r\n{"status":"alive"}')
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(alive, "127.0.0.1", 0) as running:
        mine = msgspec.structs.replace(well, port=running.sockets[0].getsockname()[1])
        assert (await examined(mine))[0] == 0


async def test_an_address_of_another_machine_is_found(well: Settings):
    status, found = await examined(msgspec.structs.replace(well, host="192.0.2.1"))
    assert status == 1
    only(found, "port", "error", "192.0.2.1", "TENON_HOST")


async def test_a_mail_folder_that_cannot_be_written_and_a_server_that_does_not_answer_are_found(well: Settings, tmp_path: Path):
    (tmp_path / "file").touch()
    status, found = await examined(msgspec.structs.replace(well, mail_url=(tmp_path / "file" / "outbox").as_uri()))
    assert status == 1
    only(found, "mail", "error", str(tmp_path / "file" / "outbox"), "TENON_MAIL_URL")
    status, found = await examined(msgspec.structs.replace(well, mail_url="smtp://127.0.0.1:1"))
    assert status == 0
    only(found, "mail", "warning", "127.0.0.1:1")


async def test_a_redis_that_does_not_answer_or_refuses_the_password_is_found(well: Settings):
    for url in ("redis://127.0.0.1:1/0", well.redis_url.replace("redis://:", "redis://:wrong")):
        status, found = await examined(msgspec.structs.replace(well, redis_url=url))
        assert status == 0
        only(found, "redis", "warning", "degraded", "TENON_REDIS_URL")


async def test_a_postgres_that_does_not_answer_is_found_once(well: Settings):
    status, found = await examined(msgspec.structs.replace(well, database_url="postgresql://127.0.0.1:1/tenon"))
    assert status == 1
    only(found, "postgres", "error", "cannot be reached", "TENON_DATABASE_URL")


async def test_a_database_that_does_not_exist_is_found_once(well: Settings):
    status, found = await examined(msgspec.structs.replace(well, database_url=databases.on(well.database_url, "elsewhere")))
    assert status == 1
    only(found, "postgres", "error", "elsewhere", "create the database")


async def test_the_password_of_another_secret_is_found_for_every_role(well: Settings):
    status, found = await examined(msgspec.structs.replace(well, db_secret=Secret("of another system, and long enough for it")))
    assert status == 1
    assert [each["says"].split()[0] for each in found["roles"]] == [f"tenon_{module.name}" for module in compose(well).modules()]
    assert "TENON_DB_SECRET" in found["roles"][0]["fix"]


async def test_processes_that_want_more_connections_than_there_are_are_found(well: Settings):
    assert (await examined(well, "--processes", "1"))[0] == 0
    status, found = await examined(well, "--processes", "500")
    assert status == 1
    only(found, "connections", "error", "12000", "max_connections")


async def test_a_limit_of_the_database_counts(well: Settings, admin: Connection):
    name = await admin.fetchval("select quote_ident(current_database())")
    await admin.execute(f"alter database {name} connection limit 50")
    try:
        only((await examined(well))[1], "connections", "warning", "48; the database takes 50")
    finally:
        await admin.execute(f"alter database {name} connection limit -1")


async def test_fewer_connections_than_the_modules_need_are_a_fault_of_the_settings(well: Settings):
    status, found = await examined(msgspec.structs.replace(well, db_connections=4))
    assert (status, [each["says"].split(":")[0] for each in found["settings"]]) == (1, ["TENON_DB_CONNECTIONS"])


async def test_an_old_and_a_too_new_server_are_found():
    class Server:
        def __init__(self, number: int) -> None:
            self.number = number

        async def fetch(self, _: str) -> list[tuple[int, str]]:
            return [(self.number, str(self.number // 10000))]

    async def severity(number: int) -> str:
        server: Any = Server(number)
        found: Finding = await version(server)
        return found.severity

    assert [await severity(number) for number in (140011, 150000, 180003, 190000)] == ["error", "ok", "ok", "warning"]


@pytest.mark.parametrize(("seconds", "severity", "status"), [(-5, "warning", 0), (5, "warning", 0), (3600, "error", 1)])
async def test_clocks_that_disagree_are_found(well: Settings, seconds: int, severity: str, status: int):
    class Wrong:
        def now(self) -> datetime:
            return datetime.now(UTC) + timedelta(seconds=seconds)

    exit_status, found = await examined(well, clock=Wrong())
    assert exit_status == status
    only(found, "clock", severity, "NTP")


async def test_a_pending_migration_is_found_by_the_modules_own_roles(well: Settings, admin: Connection):
    newest = await admin.fetchval("select version_num from payments.alembic_version")
    await admin.execute("update payments.alembic_version set version_num = '0001'; alter table orders.alembic_version rename to elsewhere")
    try:
        status, found = await examined(well)
    finally:
        await admin.execute("alter table orders.elsewhere rename to alembic_version")
        await admin.execute("update payments.alembic_version set version_num = $1", newest)
    assert (await examined(well))[0] == 0
    assert status == 1
    assert min(each["says"] for each in found["migrations"]).startswith("orders lacks 0001, 0002")
    assert any(each["says"].startswith("payments lacks 0002") for each in found["migrations"])


async def test_a_database_without_anything_lacks_every_migration(well: Settings, run: Run):
    async with databases.lent(run) as url:
        status, found = await examined(msgspec.structs.replace(well, database_url=url))
    assert status == 1
    assert len(found["migrations"]) == len(compose(well).modules())


PLANTS: Final = {
    "a dead event": (
        "insert into orders.task (id, kind, payload, headers, state) values ('tsk_1', 'event:orders.payments', '1', '{}', 'dead')",
        ("dead", "warning", "1 of event:orders.payments", "tenon events list --state dead"),
    ),
    "dead tasks": (
        "insert into orders.task (id, kind, payload, headers, state) select n, 'x', '1', '{}', 'dead' from generate_series(1, 3) n",
        ("dead", "warning", "3 of x", "tenon tasks list --state dead --kind x"),
    ),
    "an overdue task": (
        "insert into orders.task (id, kind, payload, headers, due_at) values ('tsk_2', 'x', '1', '{}', now() - interval '2 minutes')",
        ("tasks", "warning", "1 tasks of orders are overdue", "tenon worker"),
    ),
    "a stuck saga": (
        "insert into orders.saga (id, name, version, key, owner, data, state) values ('sag_1', 'x', 1, 'k', 'o', '1', 'stuck')",
        ("sagas", "warning", "1 sagas of orders are stuck", "tenon sagas list --state stuck"),
    ),
    "an overdue saga": (
        "insert into orders.saga (id, name, version, key, owner, data, due_at) values ('sag_2', 'x', 1, 'k', 'o', '1', '1999-01-01')",
        ("sagas", "warning", "1 sagas of orders are overdue", "tenon worker"),
    ),
    "a stray event": (
        """insert into orders.event (event_id, type, version, key, shard, aggregate_version, payload, headers, created_at)
        values ('evt_1', 'x', 1, 'k', 0, 1, '1', '1', '1999-01-01')""",
        ("partitions", "warning", "1 events of orders", "event_default"),
    ),
    "no partition ahead": (
        "update orders.event_partition set ends = ends - interval '4 weeks'",
        ("partitions", "warning", "no partition for the week after", "tenon worker"),
    ),
    "a paused subscription": (
        "update orders.cursor set paused_at = now(), paused_by = 'ada'",
        ("subscriptions", "warning", "orders.payments is paused", "by ada", "tenon events resume orders.payments"),
    ),
    "a subscription without a cursor": (
        "delete from orders.cursor",
        ("subscriptions", "error", "orders.payments has no cursor", "tenon db migrate"),
    ),
    "a subscription that lags": (
        """update orders.cursor set updated_at = now() - interval '1 hour';
        insert into payments.event (event_id, type, version, key, shard, aggregate_version, payload, headers)
        values ('evt_2', 'payments.payment_captured', 1, 'k', 0, 1, '1', '1')""",
        ("subscriptions", "warning", "orders.payments has not read on", "1 events wait", "tenon worker"),
    ),
}


@pytest.mark.parametrize("what", PLANTS)
async def test_a_fault_inside_a_module_is_found(fresh_settings: Settings, well: Settings, what: str):
    plant, (check, severity, *words) = PLANTS[what]
    await databases.execute(fresh_settings.database_url, plant)
    status, found = await examined(msgspec.structs.replace(fresh_settings, port=well.port))
    assert status == (severity == "error")
    only(found, check, severity, *words)


async def test_a_process_that_hosts_some_modules_is_told_which_it_leaves_to_others(well: Settings):
    only((await examined(msgspec.structs.replace(well, modules=("orders",))))[1], "modules", "note", "catalog", "TENON_MODULES")
