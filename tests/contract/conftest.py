"""The documentation of the whole application, as its readers get it."""

import httpx
import pytest

from tests.contract import linters

collect_ignore = ["test_linters.py"] if linters.missing() else []


@pytest.fixture(scope="module")
async def document(client: httpx.AsyncClient) -> bytes:
    return (await client.get("/openapi.json")).content
