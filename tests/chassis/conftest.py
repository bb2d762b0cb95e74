"""Databases with the two modules of the chassis' tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import pytest

from shared.infra.db.connections import Connections
from shared.module import Module
from tests.chassis import two_modules
from tests.support import databases
from tests.support.run import Run


@dataclass
class Two:
    """A database for one test. `admin` is a superuser's connection for looking at what the roles may not see."""

    url: str
    connections: Connections
    admin: asyncpg.Connection
    maker: Module
    make: two_modules.Maker


@pytest.fixture(scope="session")
async def two_modules_template(run: Run) -> AsyncIterator[str]:
    async with databases.lent(run) as url:
        await two_modules.lay_out(url)
        yield urlsplit(url).path.strip("/")


@pytest.fixture(scope="session")
async def two_modules_database(run: Run, two_modules_template: str) -> AsyncIterator[str]:
    async with databases.lent(run, two_modules_template) as url:
        yield url


@pytest.fixture
async def two(two_modules_database: str) -> AsyncIterator[Two]:
    """A database that was used before and emptied since: ten times faster than a new one."""
    await two_modules.empty(two_modules_database)
    async with _opened(two_modules_database) as opened:
        yield opened


@pytest.fixture
async def fresh_two(run: Run, two_modules_template: str) -> AsyncIterator[Two]:
    """A database of the test's own, whose structure it may change."""
    async with databases.lent(run, two_modules_template) as url, _opened(url) as opened:
        yield opened


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Two]:
    await two_modules.subscribe(url, "keeper.things")
    connections = two_modules.connect(url, limit=40)
    admin = await asyncpg.connect(url)
    maker = two_modules.maker(connections)
    try:
        yield Two(url, connections, admin, maker, two_modules.Maker(maker))
    finally:
        await admin.close()
        await connections.close()
