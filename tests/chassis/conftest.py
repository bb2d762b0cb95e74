"""Databases with the two modules of the chassis' tests."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest

from shared.infra.db.connections import Connections
from shared.module import Module
from tests.chassis import two_modules
from tests.support import databases
from tests.support.run import Run


@dataclass
class Two:
    """A database of one test's own. `admin` is a superuser's connection for looking at what the roles may not see."""

    url: str
    connections: Connections
    admin: asyncpg.Connection
    maker: Module
    make: two_modules.Maker


@pytest.fixture(scope="session")
async def two_modules_template(run: Run) -> AsyncIterator[str]:
    name = f"{run.id}_two_{uuid.uuid4().hex[:8]}"
    await two_modules.lay_out(await databases.create(run.postgres_url, name))
    yield name
    await databases.drop(run.postgres_url, name)


@pytest.fixture
async def two(run: Run, two_modules_template: str) -> AsyncIterator[Two]:
    name = f"{run.id}_{uuid.uuid4().hex[:12]}"
    url = await databases.create(run.postgres_url, name, template=two_modules_template)
    await two_modules.subscribe(url, "keeper.things")
    connections = two_modules.connect(url, limit=40)
    admin = await asyncpg.connect(url)
    maker = two_modules.maker(connections)
    try:
        yield Two(url, connections, admin, maker, two_modules.Maker(maker))
    finally:
        await admin.close()
        await connections.close()
        await databases.drop(run.postgres_url, name)
