"""The catalog's tables, and the aggregates mapped onto them imperatively: the domain knows nothing of it."""

from functools import cache

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry, relationship

from modules.catalog.domain.category import Category
from modules.catalog.domain.product import Price, Product, Variant

_registry = registry()

PRODUCT = Table(
    "product",
    _registry.metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text),
    Column("slug", Text),
    Column("description", Text),
    Column("status", Text),
    Column("attributes", JSONB),
    Column("category_id", Text),
    Column("published_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True)),
    Column("updated_at", DateTime(timezone=True)),
    Column("version", BigInteger),
)

VARIANT = Table(
    "variant",
    _registry.metadata,
    Column("id", Text, primary_key=True),
    Column("product_id", Text, ForeignKey("product.id")),
    Column("sku", Text),
    Column("title", Text),
    Column("options", JSONB),
    Column("position", Integer),
)

PRICE = Table(
    "price",
    _registry.metadata,
    Column("variant_id", Text, ForeignKey("variant.id"), primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("list_amount", BigInteger),
    Column("sale_amount", BigInteger),
    Column("sale_minimum", Integer),
    Column("sale_starts_at", DateTime(timezone=True)),
    Column("sale_ends_at", DateTime(timezone=True)),
)

CATEGORY = Table(
    "category",
    _registry.metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("slug", Text),
    Column("parent_id", Text),
    Column("version", BigInteger),
)


@cache
def map_aggregates() -> None:
    """Once per process. The aggregates count their versions themselves: changing only a variant raises the product's, too."""
    _registry.map_imperatively(Price, PRICE)
    _registry.map_imperatively(
        Variant,
        VARIANT,
        properties={"prices": relationship(Price, order_by=PRICE.c.currency, lazy="selectin", cascade="save-update, merge")},
    )
    _registry.map_imperatively(
        Product,
        PRODUCT,
        version_id_col=PRODUCT.c.version,
        version_id_generator=False,
        properties={"variants": relationship(Variant, order_by=VARIANT.c.position, lazy="selectin", cascade="save-update, merge")},
    )
    _registry.map_imperatively(Category, CATEGORY, version_id_col=CATEGORY.c.version, version_id_generator=False)
