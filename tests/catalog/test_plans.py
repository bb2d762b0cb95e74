"""The point reads of the catalog use their indexes on large tables, with the generic plans that the runtime role is given."""

from collections.abc import AsyncIterator

import pytest

from modules.catalog.container import CatalogContainer
from modules.catalog.infra import statements
from shared.infra.db.connections import Connection
from tests.catalog.conftest import Shop

PRODUCTS = 20_000
SOME_PRODUCT = "prd_" + "0" * 28 + "03e8"


@pytest.fixture
async def large(shop: Shop) -> Shop:
    await shop.admin.execute(f"""
        insert into category (id, name, slug, parent_id)
        select 'cat_' || n, 'Category ' || n, 'c' || n, case when n > 9 then 'cat_' || n / 10 end from generate_series(1, 999) n order by n;
        insert into product (id, title, slug, description, status, attributes, category_id, published_at, created_at, updated_at, version)
        select 'prd_' || lpad(to_hex(n), 32, '0'), 'Stool ' || md5(n::text), 's' || n, md5((n * 7)::text),
            (array['draft', 'published', 'archived'])[1 + n % 3], '{{}}', 'cat_' || 1 + n % 999,
            now(), now() - n * interval '1 second', now(), 1
        from generate_series(1, {PRODUCTS}) n;
        insert into variant select replace(id, 'prd', 'var'), id, slug, '', '{{}}', 0 from product;
        insert into price select id, 'USD', 1000, null, 1, null, null from variant;
        analyze category, product, variant, price
    """)
    return shop


@pytest.fixture
async def runtime(wired: CatalogContainer, large: Shop) -> AsyncIterator[Connection]:
    async with wired.shared.connections().use("tenon_catalog") as connection:
        yield connection


async def plan(connection: Connection, sql: str, values: str) -> str:
    await connection.execute(f"prepare probe as {sql}")
    rows = await connection.fetch(f"explain (costs off) execute probe({values})")
    await connection.execute("deallocate probe")
    return "\n".join(row[0] for row in rows)


async def test_offers_and_point_reads_use_their_indexes(runtime: Connection) -> None:
    point = await plan(runtime, statements.PRODUCT, f"array['{SOME_PRODUCT}'], false")
    variant = await plan(runtime, statements.VARIANT, "array['var_1'], false")
    offers = await plan(runtime, statements.OFFERS, "array['var_1'], 'USD'")
    for found, indexes in (
        (point, ("product_pkey", "variant_position_key", "price_pkey")),
        (variant, ("variant_pkey", "product_pkey", "price_pkey")),
        (offers, ("variant_pkey", "product_pkey", "price_pkey")),
    ):
        assert all(index in found for index in indexes), found
        assert "Seq Scan" not in found, found
