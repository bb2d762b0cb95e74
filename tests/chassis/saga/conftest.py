"""A database with the shop's schema, one per test file."""

import asyncpg
import pytest

from tests.chassis.saga.shop import SCHEMA


@pytest.fixture(scope="module")
async def shop_url(empty_database: str) -> str:
    connection = await asyncpg.connect(empty_database)
    await connection.execute(SCHEMA)
    await connection.close()
    return empty_database
