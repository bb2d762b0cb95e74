"""The same reads as they are usually written: FastAPI, SQLAlchemy's ORM, Pydantic; `python -m benchmarks.peers.orm PORT URL`.

No middleware, no authentication, no log line: everything that ours does beside is missing here.
"""

import sys
from datetime import datetime
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload
from sqlalchemy.orm.interfaces import ORMOption

CONNECTIONS = 20


class Table(DeclarativeBase):
    type_annotation_map = {dict[str, str]: JSONB}  # noqa: RUF012 - it is SQLAlchemy's to type


class Product(Table):
    __tablename__ = "product"

    id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    title: Mapped[str]
    slug: Mapped[str]
    description: Mapped[str]
    status: Mapped[str]
    category_id: Mapped[str | None]
    published_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    attributes: Mapped[dict[str, str]]
    variants: Mapped[list["Variant"]] = relationship(order_by="Variant.position")


class Variant(Table):
    __tablename__ = "variant"

    id: Mapped[str] = mapped_column(primary_key=True)
    product_id: Mapped[str] = mapped_column(ForeignKey("product.id"))
    position: Mapped[int]
    sku: Mapped[str]
    title: Mapped[str]
    options: Mapped[dict[str, str]]
    prices: Mapped[list["Price"]] = relationship(order_by="Price.currency")


class Price(Table):
    __tablename__ = "price"

    variant_id: Mapped[str] = mapped_column(ForeignKey("variant.id"), primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    list_amount: Mapped[int]
    sale_amount: Mapped[int | None]
    sale_minimum: Mapped[int | None]
    sale_starts_at: Mapped[datetime | None]
    sale_ends_at: Mapped[datetime | None]


class Read(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PriceRead(Read):
    currency: str
    list_amount: int
    sale_amount: int | None
    sale_minimum: int | None
    sale_starts_at: datetime | None
    sale_ends_at: datetime | None


class VariantRead(Read):
    id: str
    product_id: str
    sku: str
    title: str
    options: dict[str, str]
    prices: list[PriceRead]


class ProductRead(Read):
    id: str
    version: int
    title: str
    slug: str
    description: str
    status: str
    category_id: str | None
    published_at: datetime | None
    created_at: datetime
    updated_at: datetime
    attributes: dict[str, str]
    variants: list[VariantRead]


class ProductPage(BaseModel):
    data: list[ProductRead]
    has_more: bool


WHOLE: tuple[ORMOption, ...] = (selectinload(Product.variants).selectinload(Variant.prices),)


def orm_app(database_url: str) -> FastAPI:
    engine = create_async_engine(database_url, pool_size=CONNECTIONS, max_overflow=0)
    sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(engine, expire_on_commit=False)

    async def read(product_id: str) -> Any:
        async with sessions() as session:
            found = await session.scalar(select(Product).where(Product.id == product_id, Product.status == "published").options(*WHOLE))
        if found is None:
            raise HTTPException(404)
        return found

    async def find(limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Any:
        newest = select(Product).where(Product.status == "published").order_by(Product.created_at.desc(), Product.id.desc())
        async with sessions() as session:
            found = (await session.scalars(newest.limit(limit + 1).options(*WHOLE))).all()
        return {"data": found[:limit], "has_more": len(found) > limit}

    app = FastAPI()
    app.add_api_route("/v1/products/{product_id}", read, response_model=ProductRead)
    app.add_api_route("/v1/products", find, response_model=ProductPage)
    return app


if __name__ == "__main__":
    port, url = sys.argv[1:]
    uvicorn.run(orm_app(url), port=int(port), loop="uvloop", http="httptools", log_level="warning", access_log=False)
