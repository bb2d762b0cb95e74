"""The module of notifications on a real database, with its neighbours' logs and a mailbox in a folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from modules.notifications.container import NotificationsContainer
from shared.infra.db.connections import Connection
from shared.infra.db.migrate import ModuleSchema, migrate
from tests.notifications.fakes import ADA, BEN, KnownOrders, KnownPeople, order
from tests.support import application

ORDERS = (order("ord_1", user_id="usr_ada"), order("ord_2", guest_email="guest@example.org"))


@pytest.fixture(scope="module")
def outbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mail") / "out box"


@pytest.fixture(scope="module")
async def wired(empty_database: str, valkey_url: str, outbox: Path) -> AsyncIterator[NotificationsContainer]:
    shared = application.alone(empty_database, valkey_url, mail_url=outbox.as_uri(), mail_from="Tenon <shop@shop.example>")
    container = NotificationsContainer(shared=shared, identity=KnownPeople(ADA, BEN), orders=KnownOrders(*ORDERS))
    schemas = [ModuleSchema("identity"), ModuleSchema("orders"), ModuleSchema("notifications", container.module().subscriptions)]
    await migrate(empty_database, schemas, application.password_of)
    yield container
    await application.close(shared)


@pytest.fixture
async def admin(empty_database: str, wired: NotificationsContainer) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(empty_database, server_settings={"search_path": "notifications"})
    yield connection
    await connection.close()


@pytest.fixture
async def notifications(wired: NotificationsContainer, admin: Connection, outbox: Path) -> NotificationsContainer:
    """With nobody told anything yet."""
    await admin.execute("truncate notification, event, task")
    for mail in outbox.glob("*"):
        mail.unlink()
    return wired


@pytest.fixture
async def client(notifications: NotificationsContainer) -> AsyncIterator[httpx.AsyncClient]:
    async with application.client_of(notifications) as client:
        yield client
