"""`make run`: starts all that it needs, keeps its data, and leaves no process behind however it ends."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from entrypoints.development.children import SHORT_PLACE, free_port
from entrypoints.development.home import Home
from tests.support.processes import ends, kill, program, run, start


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tenon-test-", dir=SHORT_PLACE))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def make_run(home: Path, port: int) -> subprocess.Popen[str]:
    """`make run`, up to where it greets."""
    making = start("make", "run", f"PORT={port}", f"ARGS=--home {home}")
    said = ""
    assert making.stdout is not None
    for line in making.stdout:
        said += line
        if f"127.0.0.1:{port}/v1/products" in line:
            return making
    raise AssertionError(said)


async def server_pids(home: Path) -> tuple[int, int]:
    """Of Postgres and of Valkey."""
    environment = json.loads((home / "environment.json").read_text())
    redis = Redis.from_url(environment["TENON_REDIS_URL"])
    valkey = (await redis.info("server"))["process_id"]
    await redis.aclose()
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0]), int(valkey)


async def ask(home: Path, statement: str) -> object:
    environment = json.loads((home / "environment.json").read_text())
    connection = await asyncpg.connect(environment["TENON_DATABASE_URL"])
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def ready(port: int) -> bool:
    async with httpx.AsyncClient(timeout=60) as client:
        return (await client.get(f"http://127.0.0.1:{port}/health/ready")).status_code == 200


@pytest.mark.slow
async def test_a_run_that_is_killed_leaves_no_process_and_the_next_continues_and_ends_in_order_however_often_ctrl_c_is_pressed(home: Path):
    port = free_port()
    first = make_run(home, port)
    assert await ready(port)
    serving, postgres, valkey = int((home / "lock").read_text()), *await server_pids(home)
    secrets = (home / "secrets.json").read_text()
    await ask(home, "create table kept as select 42 as answer")

    kill(first)
    assert all([ends(serving), ends(postgres), ends(valkey)])

    second = make_run(home, port)
    assert await ready(port)
    assert await ask(home, "select answer from kept") == 42
    assert (home / "secrets.json").read_text() == secrets
    serving, postgres, valkey = int((home / "lock").read_text()), *await server_pids(home)
    status = run(program("tenon"), "dev", "--home", str(home), "--port", str(free_port()))
    assert status.returncode == 1
    assert f"process {serving} already serves" in status.stdout
    cleaned = run("make", "clean", f"ARGS=--home {home}")
    assert cleaned.returncode == 2
    assert f"process {serving} already serves" in cleaned.stdout

    with contextlib.suppress(ProcessLookupError):  # until it has ended
        while second.poll() is None:
            os.kill(serving, signal.SIGINT)
    assert "Traceback" not in second.communicate()[0]
    assert all([ends(serving), ends(postgres), ends(valkey)])
    assert not (home / "postgres" / "data" / "postmaster.pid").exists()


def test_a_taken_port_is_said_before_anything_is_started(home: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = run(program("tenon"), "dev", "--home", str(home / "new"), "--port", str(port))
    assert said.returncode == 1
    assert f"port {port} is taken" in said.stdout
    assert not (home / "new").exists()


def test_secrets_are_made_once_and_are_nobody_elses(home: Path):
    made = Home(home).secrets()
    assert Home(home).secrets() == made
    assert len({made.postgres, made.valkey, made.secret, made.db_secret}) == 4
    assert (home / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_what_a_killed_system_announced_is_not_taken_for_that_of_its_successor(home: Path):
    with Home(home).locked():
        Home(home).announce({"TENON_PORT": "8000"})
    with Home(home).locked():
        assert Home(home).running() is None


def test_other_terminals_find_the_running_system_and_no_ended_one(home: Path):
    with Home(home).locked():
        Home(home).announce({"TENON_PORT": "8000"})
        assert Home(home).running() == {"TENON_PORT": "8000"}
    assert Home(home).running() is None
