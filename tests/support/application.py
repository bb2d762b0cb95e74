"""The application of a test: its settings, its database's template, itself without loops, and a client in the same loop."""

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
from litestar import Litestar

from entrypoints.commands import schemas
from entrypoints.container import Root, compose
from entrypoints.http import create_app, operations
from shared.api.middleware import EdgeOptions
from shared.api.wiring import build_app
from shared.container import SharedContainer
from shared.infra.config import Settings, load
from shared.infra.secrets import Secret, role_password
from tests.support import answers, databases
from tests.support.queries import Transport
from tests.support.run import Run

SECRET: Final = "well known, and of tests only: k2Jd8sLq0vNz"
REDIS_DATABASES: Final = 16

password_of: Final = role_password(Secret(SECRET))
"""Roles belong to the server, whatever database they log in to: they have one password in all tests."""


def settings(database_url: str, run: Run, outbox: Path) -> Settings:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    redis_url = f"{run.valkey_url.removesuffix('/0')}/{worker % REDIS_DATABASES}"
    return load(environment(database_url, redis_url, outbox.as_uri()))


def environment(database_url: str, redis_url: str, mail_url: str) -> dict[str, str]:
    """What a process of the tested system finds in its environment."""
    return {
        "TENON_ENVIRONMENT": "test",
        "TENON_DATABASE_URL": database_url,
        "TENON_REDIS_URL": redis_url,
        "TENON_SECRET": SECRET,
        "TENON_DB_SECRET": SECRET,
        "TENON_MAIL_URL": mail_url,
        "TENON_PUBLIC_URL": "http://test",
        "TENON_PASSWORD_MEMORY_KIB": "64",
        "TENON_RATE_SCALE": "1000",
        "TENON_QUEUE_MILLISECONDS": "60000",
        "TENON_NOTICE_SECONDS": "0",
        "TENON_LOG_LEVEL": "warning",
    }


def environment_of(chosen: Settings) -> dict[str, str]:
    """The same system's, for a process beside this one."""
    return environment(chosen.database_url, chosen.redis_url, chosen.mail_url)


async def template(run: Run, lock: Path) -> str:
    """Whichever worker comes first migrates it; a broken migration leaves none behind."""
    name = f"{run.id}_template"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not await _exists(run.postgres_url, name):
            async with databases.lent(run) as url:
                modules = compose(settings(url, run, lock.parent)).modules()
                await schemas.migrate(url, settings(url, run, lock.parent), modules)
                unfinished = url.rsplit("/", 1)[1]
                await databases.execute(run.postgres_url, f'alter database "{unfinished}" rename to "{name}"')
    return name


@asynccontextmanager
async def composed(chosen: Settings) -> AsyncIterator[Root]:
    root = compose(chosen)
    try:
        yield root
    finally:
        await close(root.shared)


@asynccontextmanager
async def client(root: Root) -> AsyncIterator[httpx.AsyncClient]:
    async with speaking_to(create_app(root)) as opened:
        yield opened


def alone(database_url: str, valkey_url: str, **settings: Any) -> SharedContainer:
    """What one module needs to be tested without the others; `settings` differ from the usual ones."""
    usual: dict[str, Any] = {
        "environment": "test",
        "db_secret": Secret(SECRET),
        "secret": Secret(SECRET),
        "public_url": "https://shop.example",
        "mail_url": "file:///nowhere",
        "rate_scale": 1000.0,
        "queue_milliseconds": 60_000,
    }
    return SharedContainer(settings=Settings(database_url=database_url, redis_url=valkey_url, **(usual | settings)))


async def close(shared: Any) -> None:
    await shared.connections().close()
    await shared.redis().aclose()


@asynccontextmanager
async def client_of(container: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The API with the routes of one module alone, whose container this is, and those to follow its jobs and sagas."""
    shared, module = container.shared, container.module()
    public_url = shared.settings().public_url
    app = build_app(
        [module, operations([module])], authenticator=shared.verifier(), limits=shared.limits(), signer=shared.signer(),
        public_url=public_url, options=EdgeOptions(rate_scale=shared.settings().rate_scale),
    )  # fmt: skip
    async with speaking_to(app) as opened:
        yield opened


@asynccontextmanager
async def speaking_to(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with app.lifespan(), in_process(app, Transport) as opened:
        yield opened


def in_process(app: Litestar, transport: type[httpx.ASGITransport] = httpx.ASGITransport) -> httpx.AsyncClient:
    """A client of an application that somebody else starts; no refusal that it hears stays unseen in the run."""
    spoken: Any = app  # Litestar types its scope more narrowly
    carried = transport(spoken, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=carried, base_url="http://test", event_hooks={"response": [answers.remember]})


async def _exists(server_url: str, name: str) -> bool:
    connection = await asyncpg.connect(server_url)
    try:
        return bool(await connection.fetchval("select exists (select from pg_database where datname = $1)", name))
    finally:
        await connection.close()
