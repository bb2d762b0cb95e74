"""The module of payments on a real database, with its own test provider."""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from modules.payments.container import PaymentsContainer
from shared.api.wiring import build_app
from shared.container import SharedContainer
from shared.domain.context import Context, begin
from shared.infra.config import Settings
from shared.infra.db.connections import Connection
from shared.infra.db.migrate import ModuleSchema, migrate
from shared.infra.secrets import Secret, role_password
from shared.infra.worker import Worker
from tests.payments.till import Till
from tests.support.application import SECRET


@pytest.fixture(scope="module")
async def wired(empty_database: str, valkey_url: str) -> AsyncIterator[PaymentsContainer]:
    settings = Settings(
        environment="test",
        database_url=empty_database,
        db_secret=Secret(SECRET),
        secret=Secret(SECRET),
        redis_url=valkey_url,
        public_url="https://shop.example",
        mail_url="file:///nowhere",
        db_connections=60,
    )
    await migrate(empty_database, [ModuleSchema("payments")], role_password(settings.db_secret))
    shared = SharedContainer(settings=settings)
    container = PaymentsContainer(shared=shared)
    yield container
    await shared.connections().close()
    await shared.redis().aclose()


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
    shared = payments.shared
    app = build_app([payments.module()], authenticator=shared.verifier(), signer=shared.signer(), public_url="https://shop.example")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]  # both spell ASGI, each in its own types
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
