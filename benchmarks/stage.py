"""What is measured: the application as in production, in this process and on servers of its own, and its bare peers' connections."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import httpx

from benchmarks.asgi import App
from entrypoints import schemas
from entrypoints.container import Root, compose
from entrypoints.embedded import EmbeddedPostgres, EmbeddedValkey
from entrypoints.http import create_app
from shared.infra.config import Settings, load
from shared.infra.db.connections import Connection
from shared.infra.secrets import role_password
from tests.support.shop import Shop

HOST = "shop.example"


@dataclass(frozen=True)
class Stage:
    """`shop` furnishes the application, over its own API."""

    settings: Settings
    root: Root
    app: App
    shop: Shop
    server: str

    @asynccontextmanager
    async def bare(self, module: str, connections: int) -> AsyncIterator["Bare"]:
        """Connections as the module's role."""
        opened = [await self.connect(f"tenon_{module}") for _ in range(connections)]
        try:
            yield Bare(opened)
        finally:
            await asyncio.gather(*(connection.close() for connection in opened))

    async def connect(self, role: str, kind: type[Any] = asyncpg.Connection) -> Connection:
        password = role_password(self.settings.db_secret)(role)
        connection: Connection = await asyncpg.connect(self.settings.database_url, user=role, password=password, connection_class=kind)
        return connection


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
async def stage() -> AsyncIterator[Stage]:
    with TemporaryDirectory() as outbox, EmbeddedPostgres() as postgres, EmbeddedValkey() as valkey:
        settings = as_in_production(postgres.url(), valkey.url(), Path(outbox))
        root = compose(settings)
        await schemas.migrate(settings.database_url, settings, root.modules())
        app = create_app(root)
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar types its scope more narrowly
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
            admin = await asyncpg.connect(settings.database_url)
            server = str(await admin.fetchval("show server_version"))
            await admin.close()
            yield Stage(settings, root, app, Shop(client, root), server)


def as_in_production(database_url: str, redis_url: str, outbox: Path) -> Settings:
    return load(
        {
            "TENON_ENVIRONMENT": "production",
            "TENON_DATABASE_URL": database_url,
            "TENON_REDIS_URL": redis_url,
            "TENON_SECRET": secrets.token_urlsafe(48),
            "TENON_DB_SECRET": secrets.token_urlsafe(48),
            "TENON_MAIL_URL": outbox.as_uri(),
            "TENON_PUBLIC_URL": f"https://{HOST}",
        "TENON_RATE_SCALE": "1000000",  # all clients of a benchmark have one address
        }
    )
