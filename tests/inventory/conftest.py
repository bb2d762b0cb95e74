"""The inventory alone, on a real database of the test file's own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import httpx
import pytest
from dependency_injector import providers

from modules.inventory.container import InventoryContainer
from modules.inventory.domain.level import Level
from modules.inventory.domain.service import ReservationService
from modules.inventory.domain.stock import StockService
from modules.inventory.domain.views import LocationView
from modules.inventory.infra.work import SqlWork
from modules.inventory.public import PUBLISHES
from shared.domain.page import PageRequest
from shared.infra.db.connections import Connection, Connections
from shared.infra.db.migrate import ModuleSchema, migrate
from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import UnitOfWork
from tests.support import application
from tests.support.tokens import bearer


@dataclass(frozen=True)
class Store:
    reservations: ReservationService
    stock: StockService
    connections: Connections
    admin: Connection
    attempts: list[int]
    """One entry for each transaction begun, also for those that a deadlock made Postgres abort and that were run again."""

    async def receive(self, **quantities: int) -> None:
        for sku, quantity in quantities.items():
            await self.stock.move(kind="received", sku=sku, quantity=quantity, reason="delivery", actor="user:test")

    async def level(self, sku: str) -> Level:
        """At the default location."""
        row = await self.admin.fetchrow(
            "select l.location_id, l.sku, l.on_hand, l.allocated, l.reserved, l.version"
            " from stock_level l join stock_location d on d.id = l.location_id and d.is_default where l.sku = $1",
            sku,
        )
        assert row is not None
        return Level(*row)

    async def told(self, *types: str) -> list[str]:
        """The types of events, in order: those asked for, else those of reservations."""
        rows = await self.admin.fetch(
            "select type from event where type = any($1) or ($1 = '{}' and type like 'inventory.reservation%') order by id", list(types)
        )
        return [row[0] for row in rows]

    async def lapse(self, key: str) -> None:
        """Let the time of a hold pass."""
        await self.admin.execute("update reservation set expires_at = now() - interval '1 second' where key = $1", key)

    async def state(self, key: str) -> str | None:
        row = await self.admin.fetchrow("select state from reservation where key = $1", key)
        return None if row is None else str(row[0])

    async def default(self) -> LocationView:
        return next(each for each in (await self.stock.locations(PageRequest())).items if each.is_default)

    async def check_conservation(self) -> None:
        """What the levels say is what the reservations and the movements add up to."""
        wrong = await self.admin.fetch("""
            with claims (location_id, sku, reserved, allocated) as (
                select r.location_id, n.sku,
                    sum(case when r.state = 'held' then n.quantity else 0 end),
                    sum(case when r.state = 'committed' then n.quantity - n.shipped else 0 end)
                from reservation r join reservation_line n on n.reservation_id = r.id group by 1, 2
            ), moved (location_id, sku, on_hand) as (
                select location_id, sku, sum(case when kind in ('received', 'returned', 'adjusted') then quantity else -quantity end)
                from (select location_id, sku, kind, quantity from stock_movement
                    union all select to_location_id, sku, 'received', quantity from stock_movement where kind = 'transferred') leg
                group by 1, 2
            )
            select l.*, c.*, m.* from stock_level l
            left join claims c using (location_id, sku) left join moved m using (location_id, sku)
            where l.reserved <> coalesce(c.reserved, 0) or l.allocated <> coalesce(c.allocated, 0) or l.on_hand <> coalesce(m.on_hand, 0)
                or l.allocated + l.reserved > l.on_hand
        """)
        assert wrong == []


_attempts: list[int] = []


def counted(uow: UnitOfWork) -> SqlWork:
    _attempts.append(1)
    return SqlWork(uow)


@pytest.fixture(scope="module")
async def wired(empty_database: str, valkey_url: str) -> AsyncIterator[InventoryContainer]:
    await migrate(empty_database, [ModuleSchema("inventory")], application.password_of)
    shared = application.alone(empty_database, valkey_url)
    shared.connections.override(providers.Singleton(Connections, shared.connect, wait_s=20))
    container = InventoryContainer(shared=shared)
    container.transact.override(providers.Singleton(Transact, container.database, providers.Object(counted), events=PUBLISHES))
    yield container
    await application.close(shared)


@pytest.fixture
async def store(empty_database: str, wired: InventoryContainer) -> AsyncIterator[Store]:
    """With nothing in it but the default location."""
    admin = await asyncpg.connect(empty_database, server_settings={"search_path": "inventory"})
    await admin.execute("truncate stock_level, stock_movement, reservation, reservation_line, event, task")
    await admin.execute("delete from stock_location where not is_default")
    _attempts.clear()
    yield Store(wired.reservations(), wired.stock(), wired.shared.connections(), admin, _attempts)
    await admin.close()


@pytest.fixture(scope="module")
async def client(wired: InventoryContainer) -> AsyncIterator[httpx.AsyncClient]:
    """The API with the routes of the inventory alone."""
    async with application.client_of(wired) as client:
        yield client


@pytest.fixture(scope="module")
def manager(wired: InventoryContainer) -> dict[str, str]:
    return bearer(wired, ["manager"])
