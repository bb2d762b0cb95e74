"""The module of payments on a real database, with its own test provider."""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from modules.payments.container import PaymentsContainer
from shared.domain.context import Context, begin
from shared.infra.db.connections import Connection
from shared.infra.db.migrate import ModuleSchema, migrate
from shared.infra.worker import Worker
from tests.payments.till import Till
from tests.support import application


@pytest.fixture(scope="module")
async def wired(empty_database: str, valkey_url: str) -> AsyncIterator[PaymentsContainer]:
    await migrate(empty_database, [ModuleSchema("payments")], application.password_of)
    shared = application.alone(empty_database, valkey_url, db_connections=60)
    yield PaymentsContainer(shared=shared)
    await application.close(shared)


@pytest.fixture
async def admin(empty_database: str, wired: PaymentsContainer) -> AsyncIterator[Connection]:
    """The superuser's connection, in the schema of payments, for looking and for moving time."""
    connection = await asyncpg.connect(empty_database, server_settings={"search_path": "payments"})
    yield connection
    await connection.close()


@pytest.fixture
async def payments(wired: PaymentsContainer, admin: Connection) -> PaymentsContainer:
    """With no payment made yet."""
    await admin.execute("""
        truncate payment_intent, authorization_key, attempt, ledger_transaction, ledger_posting, ledger_balance, test_provider_ledger,
            event, task, inbox, idempotency_key;
        update ledger_closing set through = '-infinity'
    """)
    return wired


@pytest.fixture
def till(payments: PaymentsContainer, admin: Connection) -> Till:
    begin(Context())
    return Till(payments, admin)


@pytest.fixture
def worker(payments: PaymentsContainer) -> Worker:
    return Worker([payments.module()])


@pytest.fixture
async def client(payments: PaymentsContainer) -> AsyncIterator[httpx.AsyncClient]:
    async with application.client_of(payments) as client:
        yield client
