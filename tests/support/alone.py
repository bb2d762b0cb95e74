"""One module without the others: its container and a client of its routes, as fixtures of its folder's conftest.py."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from shared.infra.db.migrate import ModuleSchema, migrate
from tests.support import application


def fixtures(container_class: Any, name: str) -> tuple[Any, Any]:
    """`container`, wired on a migrated database of the test file's own, and `client`, for a module that knows no neighbour."""

    @pytest.fixture(scope="module", name="container")
    async def container(empty_database: str, valkey_url: str) -> AsyncIterator[Any]:
        await migrate(empty_database, [ModuleSchema(name)], application.password_of)
        shared = application.alone(empty_database, valkey_url)
        yield container_class(shared=shared)
        await application.close(shared)

    @pytest.fixture(scope="module", name="client")
    async def client(container: Any) -> AsyncIterator[httpx.AsyncClient]:
        async with application.client_of(container) as opened:
            yield opened

    return container, client
