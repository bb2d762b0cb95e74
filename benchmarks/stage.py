"""What is measured: the application as in production, in this process and on servers of its own, and its bare peers' connections."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import httpx

from benchmarks.asgi import App
from entrypoints.commands import schemas
from entrypoints.container import Root, compose
from entrypoints.development.children import free_port
from entrypoints.development.embedded import EmbeddedPostgres, EmbeddedValkey
from entrypoints.http import create_app
from shared.infra.config import Settings, load
from shared.infra.db.connections import Connection
from shared.infra.secrets import role_password
from tests.support.shop import Shop

HOST = "shop.example"


@dataclass(frozen=True)
class Stage:
    """`shop` furnishes the application, over its own API. `environ` is what another process of it needs to know.

    `quick`: nothing is measured, everything is tried.
    """

    environ: Mapping[str, str]
    settings: Settings
    root: Root
    app: App
    shop: Shop
    quick: bool

    def some(self, full: int, least: int = 1) -> int:
        """How many windows, or how much in each: `full`, or as few as it works with."""
        return min(least, full) if self.quick else full

    @asynccontextmanager
    async def bare(self, module: str, connections: int) -> AsyncIterator["Bare"]:
        """Connections as the module's role."""
        opened = [await self.connect(f"tenon_{module}") for _ in range(connections)]
        try:
            yield Bare(opened)
        finally:
            await asyncio.gather(*(connection.close() for connection in opened))

    async def connect(self, role: str, kind: type[Any] = asyncpg.Connection) -> Connection:
        connection: Connection = await asyncpg.connect(self.url(role), connection_class=kind)
        return connection

    def url(self, role: str, scheme: str = "postgresql") -> str:
        """Of the database, logging in as `role`."""
        server = urlsplit(self.settings.database_url)
        password = quote(role_password(self.settings.db_secret)(role), safe="")
        return server._replace(scheme=scheme, netloc=f"{role}:{password}@{server.hostname}:{server.port}").geturl()


class Bare:
    """Hands out connections, and nothing else."""

    def __init__(self, connections: list[Connection]) -> None:
        self.only = connections[0]
        self._free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        for connection in connections:
            self._free.put_nowait(connection)

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        connection = await self._free.get()
        try:
            return await connection.fetch(sql, *args)
        finally:
            self._free.put_nowait(connection)


@asynccontextmanager
async def stage(*, quick: bool = False) -> AsyncIterator[Stage]:
    """On servers of its own, which end with it."""
    with TemporaryDirectory() as outbox, EmbeddedPostgres(max_connections=200) as postgres, EmbeddedValkey() as valkey:
        environ = as_in_production(postgres.url(), valkey.url(), Path(outbox))
        settings = load(environ)
        await schemas.migrate(settings.database_url, settings, compose(settings).modules())
        async with staged(environ, quick=quick) as found:
            yield found


@asynccontextmanager
async def staged(environ: Mapping[str, str], *, quick: bool) -> AsyncIterator[Stage]:
    """On a database that is migrated already."""
    settings = load(environ)
    root = compose(settings)
    app = create_app(root)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar types its scope more narrowly
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
        yield Stage(environ, settings, root, app, Shop(client, root), quick)


def as_in_production(database_url: str, redis_url: str, outbox: Path) -> dict[str, str]:
    return {
        "TENON_ENVIRONMENT": "production",
        "TENON_DATABASE_URL": database_url,
        "TENON_REDIS_URL": redis_url,
        "TENON_SECRET": secrets.token_urlsafe(48),
        "TENON_DB_SECRET": secrets.token_urlsafe(48),
        "TENON_MAIL_URL": outbox.as_uri(),
        "TENON_PUBLIC_URL": f"https://{HOST}",
        "TENON_METRICS_PORT": str(free_port()),
        "TENON_RATE_SCALE": "1000000",  # all clients of a benchmark have one address
        "TENON_QUEUE_MILLISECONDS": "60000",  # and all of them are to be answered
    }
