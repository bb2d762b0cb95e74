"""Tenon as it runs in earnest: processes of its own for API and worker, on one database, reached over the network."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any, Final

import asyncpg
import httpx

from entrypoints.container import Root
from entrypoints.development.children import Child, free_port
from shared.infra.config import Settings
from shared.infra.events.registry import Registry
from tests.chassis.waiting import until
from tests.support.application import composed, environment_of
from tests.support.processes import ROOT, program
from tests.support.shop import Shop
from tests.support.time import MODULES, let_time_pass

LAST_WORDS: Final = 4000
"""How many characters of each log a failed test shows."""

PATIENCE_S: Final = 60.0
POLL_S: Final = 0.02
DOORS: Final = 2
CONNECTIONS: Final = 48
"""Of each process: enough for all customers of a race to be inside the database at the same moment."""

BUSY: Final = " union all ".join(
    f"""
    select '{module}: ' || concat_ws(' ', kind, key, state, last_error) from {module}.task
    where state in ('claimed', 'blocked', 'dead') or (state = 'ready' and (due_at <= clock_timestamp() or attempts > 0))
    union all
    select '{module}: ' || concat_ws(' ', name, key, state, last_error) from {module}.saga where ended_at is null and state <> 'waiting'
    """
    for module in MODULES
)
UNREAD: Final = """
    select '{module} has not read ' || e.type || ' of ' || e.key from {module}.cursor c
    join {publisher}.event e on e.type = any(${types}) and (c.until is not null or not pg_visible_in_snapshot(e.xid, c.consumed))
    where c.subscription = '{subscription}'
"""


@dataclass(frozen=True)
class Running:
    """A process of the system, by its name."""

    name: str
    child: Child


@dataclass(frozen=True)
class Api(Running):
    """A `tenon serve`, the customers' client to it, and the staff of the shop."""

    client: httpx.AsyncClient
    shop: Shop


class System:
    """Processes are started and killed by tests; `admin` is a superuser's session that looks behind their backs."""

    def __init__(self, settings: Settings, root: Root, admin: "asyncpg.Connection[Any]", logs: Path) -> None:
        self.settings = settings
        self.root = root
        self.admin = admin
        self.apis: list[Api] = []
        self.workers: list[Running] = []
        self._logs = logs
        self._ended: list[Running] = []
        self._numbers = count(1)

    @property
    def outbox(self) -> Path:
        return Path(self.settings.mail_url.removeprefix("file://"))

    def start_api(self, *options: str, **environ: str) -> Api:
        """Begun, and not yet ready. `environ` are settings of this process alone."""
        port = free_port()
        name = f"api-{next(self._numbers)}"
        unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, limits=unlimited)
        api = Api(name, self._start(name, "serve", "--port", str(port), *options, **environ), client, Shop(client, self.root))
        self.apis.append(api)
        return api

    def start_workers(self) -> None:
        """Two of them."""
        self.start_worker()
        self.start_worker()

    def start_worker(self, **environ: str) -> Running:
        name = f"worker-{next(self._numbers)}"
        worker = Running(name, self._start(name, "worker", **environ))
        self.workers.append(worker)
        return worker

    async def ready(self, api: Api) -> Api:
        url = f"{api.client.base_url}/health/ready"

        def look() -> bool:
            with suppress(httpx.TransportError):
                return httpx.get(url).status_code == 200
            return False

        await asyncio.to_thread(api.child.wait_until, look, PATIENCE_S)
        return api

    async def kill(self, *processes: Running) -> None:
        """With -9. Their claims stay until their time has come."""
        for process in processes:
            os.kill(process.child.pid, signal.SIGKILL)
        await self.end(*processes)

    async def end(self, *processes: Running) -> None:
        """Ask them to end, all at once, and reap them."""
        await asyncio.gather(*(asyncio.to_thread(process.child.stop, signal.SIGTERM) for process in processes))
        for process in processes:
            self._forget(process)
            if isinstance(process, Api):
                await process.client.aclose()

    async def asked_to_end(self, process: Running) -> int:
        """With SIGTERM, and with all the time that it wants; the status that it ends with."""
        process.child.ask(signal.SIGTERM)
        return await self.ended(process)

    async def ended(self, process: Running) -> int:
        """The status of a process that ends by itself."""
        status = await asyncio.to_thread(process.child.wait_until_ended, PATIENCE_S)
        await self.end(process)
        return status

    async def complete(self) -> None:
        """As it was in the beginning, also after a test that failed half-way."""
        await self.end(*self.apis[DOORS:])
        if not self.workers:
            self.start_workers()

    async def time_passes(self) -> None:
        """As if every process that held a claim had been dead for long. Sessions of the dead may keep locks for a while."""
        await let_time_pass(self.settings.database_url)

    async def quiet(self) -> None:
        """Until no event is unread, no task is due or running, and every saga has ended or waits for somebody."""
        consumers = Registry(self.root.modules()).consumers
        unread = [
            UNREAD.format(
                module=consumer.module.name, publisher=consumer.subscription.publisher, subscription=consumer.subscription.id, types=place
            )
            for place, consumer in enumerate(consumers, start=1)
        ]
        question = " union all ".join([BUSY, *unread])
        ends = monotonic() + PATIENCE_S
        while left := [row[0] for row in await self.admin.fetch(question, *(consumer.types for consumer in consumers))]:
            assert monotonic() < ends, f"still to be done: {left}"
            await asyncio.sleep(POLL_S)

    async def stuck(self, least: int, besides: Collection[int] = ()) -> set[int]:
        """Wait until at least so many sessions of the system wait for a lock, not counting those of `besides`; answers which."""
        question = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and pid <> all($1)"

        async def look() -> set[int] | None:
            waiting = {row[0] for row in await self.admin.fetch(question, list(besides))}
            return waiting if len(waiting) >= least else None

        return await until(look)

    @asynccontextmanager
    async def locked(self, table: str) -> AsyncIterator[None]:
        """Nobody writes to `table` meanwhile; reading goes on."""
        session = await asyncpg.connect(self.settings.database_url)
        try:
            await session.execute("begin")
            await session.execute(f"lock table {table} in share row exclusive mode")
            yield
        finally:
            await session.close()

    async def look_again(self) -> None:
        """After a restart of the database."""
        self.admin.terminate()
        self.admin = await asyncpg.connect(self.settings.database_url)

    def last_words(self) -> Iterator[tuple[str, str]]:
        """Of every process: its name, and how its log ends."""
        for process in [*self._ended, *self.apis, *self.workers]:
            yield f"log of {process.name}", process.child.log.read_text(errors="replace")[-LAST_WORDS:] or "(nothing)"

    def _start(self, name: str, *command: str, **environ: str) -> Child:
        """A process that ends with this one, with the settings of this system and no others."""
        settings = {**environment_of(self.settings), "TENON_DB_CONNECTIONS": str(CONNECTIONS), "PYTHONPATH": str(ROOT), **environ}
        chosen = [f"{variable}={value}" for variable, value in settings.items()]
        foreign = [part for variable in os.environ if variable.startswith("TENON_") for part in ("-u", variable)]
        return Child(
            ["/usr/bin/env", *foreign, *chosen, program("tenon"), *command], self._logs / f"{name}.log", account=None, death=signal.SIGKILL
        )

    def _forget(self, process: Running) -> None:
        running: list[Any] = self.apis if isinstance(process, Api) else self.workers
        running.remove(process)
        self._ended.append(process)


@asynccontextmanager
async def running(settings: Settings, logs: Path) -> AsyncIterator[System]:
    """Two API processes and two workers."""
    async with nothing_running(settings, logs) as system:
        system.start_workers()
        for api in [system.start_api() for _ in range(DOORS)]:
            await system.ready(api)
        yield system


@asynccontextmanager
async def nothing_running(settings: Settings, logs: Path) -> AsyncIterator[System]:
    """A system whose processes are all started by the test."""
    async with composed(settings) as root:
        admin = await asyncpg.connect(settings.database_url)
        system = System(settings, root, admin, logs)
        try:
            yield system
        finally:
            await system.end(*system.apis, *system.workers)
            await system.admin.close()
