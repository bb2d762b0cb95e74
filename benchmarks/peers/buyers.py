"""An order as it is usually written: load, check, change and flush by SQLAlchemy's ORM, in the same tables.

Two units of work, as ours are two transactions: one holds the stock, one places the order; each tells of it by events.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, ForeignKey, Sequence, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

from benchmarks.stage import Stage
from shared.domain.ids import new_id

NUMBERS = Sequence("order_number")


class Table(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSONB, datetime: DateTime(timezone=True)}  # noqa: RUF012 - it is SQLAlchemy's to type


class Event(Table):
    __tablename__ = "event"

    event_id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    version: Mapped[int]
    key: Mapped[str]
    shard: Mapped[int]
    aggregate_version: Mapped[int]
    payload: Mapped[dict[str, Any]]
    headers: Mapped[dict[str, Any]]


class Location(Table):
    __tablename__ = "stock_location"

    id: Mapped[str] = mapped_column(primary_key=True)
    is_default: Mapped[bool]


class Level(Table):
    __tablename__ = "stock_level"

    location_id: Mapped[str] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(primary_key=True)
    on_hand: Mapped[int]
    allocated: Mapped[int]
    reserved: Mapped[int]
    version: Mapped[int]


class Reservation(Table):
    __tablename__ = "reservation"

    id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str]
    state: Mapped[str]
    location_id: Mapped[str]
    expires_at: Mapped[datetime]
    lines: Mapped[list["ReservationLine"]] = relationship()


class ReservationLine(Table):
    __tablename__ = "reservation_line"

    reservation_id: Mapped[str] = mapped_column(ForeignKey("reservation.id"), primary_key=True)
    sku: Mapped[str] = mapped_column(primary_key=True)
    quantity: Mapped[int]


class Cart(Table):
    __tablename__ = "cart"

    id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    version: Mapped[int]


class Order(Table):
    __tablename__ = "customer_order"

    id: Mapped[str] = mapped_column(primary_key=True)
    cart_id: Mapped[str] = mapped_column(ForeignKey("cart.id"))
    number: Mapped[str | None]
    status: Mapped[str]
    payment_status: Mapped[str]
    intent_id: Mapped[str | None]
    placed_at: Mapped[datetime | None]
    total: Mapped[int]
    currency: Mapped[str]
    version: Mapped[int]
    cart: Mapped[Cart] = relationship()
    lines: Mapped[list["OrderLine"]] = relationship()


class OrderLine(Table):
    __tablename__ = "order_line"

    order_id: Mapped[str] = mapped_column(ForeignKey("customer_order.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]
    quantity: Mapped[int]


class Entry(Table):
    __tablename__ = "order_entry"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[str]
    kind: Mapped[str]
    facts: Mapped[dict[str, Any]]


class Buyers:
    def __init__(self, stock: async_sessionmaker[AsyncSession], orders: async_sessionmaker[AsyncSession]) -> None:
        self._stock = stock
        self._orders = orders

    async def buy(self, sku: str, key: str, order_id: str, intent_id: str) -> None:
        await self._reserve(sku, key)
        await self._place(order_id, intent_id)

    async def _reserve(self, sku: str, key: str) -> None:
        async with self._stock.begin() as session:
            location = (await session.scalars(select(Location).where(Location.is_default))).one()
            level = await session.get_one(Level, (location.id, sku), with_for_update=True)
            if level.on_hand - level.allocated - level.reserved < 1:
                raise ValueError("there is not enough of it")
            level.reserved += 1
            level.version += 1
            expires_at = datetime.now(UTC) + timedelta(hours=1)
            held = Reservation(id=new_id("rsv"), key=key, state="held", location_id=location.id, expires_at=expires_at)
            held.lines.append(ReservationLine(sku=sku, quantity=1))
            changed = {"sku": sku, "reserved": level.reserved, "on_hand": level.on_hand}
            created = {"reservation_id": held.id, "reference": key}
            session.add_all(
                [
                    held,
                    event("inventory.level_changed", sku, level.version, changed),
                    event("inventory.reservation_created", held.id, 1, created),
                ]
            )

    async def _place(self, order_id: str, intent_id: str) -> None:
        async with self._orders.begin() as session:
            wanted = select(Order).where(Order.id == order_id).options(selectinload(Order.lines), selectinload(Order.cart))
            order = (await session.scalars(wanted.with_for_update(of=Order))).one()
            if order.status != "draft":
                raise ValueError("it was placed before")
            order.number = str(await session.scalar(NUMBERS))
            order.status, order.payment_status = "placed", "authorized"
            order.intent_id, order.placed_at = intent_id, datetime.now(UTC)
            order.version += 1
            order.cart.status = "completed"
            order.cart.version += 1
            placed = {"order_id": order.id, "amount": order.total, "currency": order.currency}
            told = event("orders.order_placed", order.id, order.version, placed)
            session.add_all([Entry(order_id=order.id, kind="placed", facts={"number": order.number}), told])


def event(type_: str, key: str, aggregate_version: int, payload: dict[str, Any]) -> Event:
    return Event(
        event_id=new_id("evt"), type=type_, version=1, key=key, shard=0, aggregate_version=aggregate_version, payload=payload, headers={}
    )


@asynccontextmanager
async def buyers(stage: Stage, connections: int) -> AsyncIterator[Buyers]:
    """So many connections for each of the two modules."""
    stock, orders = (
        create_async_engine(stage.url(f"tenon_{module}", "postgresql+asyncpg"), pool_size=connections, max_overflow=0)
        for module in ("inventory", "orders")
    )
    try:
        yield Buyers(async_sessionmaker(stock), async_sessionmaker(orders))
    finally:
        await stock.dispose()
        await orders.dispose()
