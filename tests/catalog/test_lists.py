"""The lists of catalog on large tables: no page of them reads much more than it shows."""

from collections.abc import Mapping
from typing import Final

import pytest

from shared.infra.config import Settings
from tests.support.lists import DEEP, List, at, check_known, check_pages

# Half of the categories are roots, the others have a parent for each ten, and a hundredth has the first one. Below the second are ten
# with a few products, which are old; the other products are in the third and in the ten below it.
FILLING: Final = """
insert into category (id, name, slug, parent_id)
select at('cat', n), 'Category ' || n, 'c' || n,
    case when n between 11 and 20 then at('cat', 2) when n between 21 and 30 then at('cat', 3)
        when n % 100 = 99 then at('cat', 1) when n > 100000 then at('cat', n / 10) end
from rows;
insert into product (id, title, slug, description, status, attributes, category_id, published_at, created_at, updated_at, version)
select at('prd', n), 'Stool ' || md5(n::text), 's' || n, case when n <= rare or n % 2 = 0 then 'relic' else 'oak' end,
    case when n <= rare and n % 3 = 1 then 'draft' when n > rare and n % 2 = 0 then 'archived' else 'published' end, '{}',
    at('cat', case when n <= rare then 11 + n % 10 when n % 11 = 0 then 3 else 20 + n % 11 end),
    now(), timestamptz '2026-01-01Z' + n * interval '1 second', now(), 1
from rows;
insert into variant (id, product_id, sku, title, options, position)
select at('var', n), at('prd', n), 's' || n, '', '{}', 0 from rows where n % 20 = 0;
insert into price (variant_id, currency, list_amount, sale_minimum) select at('var', n), 'USD', 1000, 1 from rows where n % 20 = 0
"""
OLD, NEW = "2026-01-01T00:00:20Z", "2026-01-03T07:00:00Z"
LISTS: Final[Mapping[str, List]] = {
    "listCategories": List(deep={"": (f"Category {DEEP}", at("cat", DEEP))}, filters={"parent": [at("cat", 1), at("cat", 2)]}),
    "listProducts": List(
        deep={
            **dict.fromkeys(("created_at", "-created_at"), ("2026-01-02T03:46:40+00:00", at("prd", DEEP))),
            **dict.fromkeys(("title", "-title"), ("Stool 8", at("prd", DEEP))),
        },
        filters={
            "category": [at("cat", 2), at("cat", 3)],
            "created_at[gte]": [OLD, NEW],
            "created_at[lt]": [OLD],
        },
        refuses=lambda sort, wanted: sort.endswith("title") and not wanted.keys().isdisjoint({"created_at[gte]", "created_at[lt]"}),
        rows=3500,
        pages=2500,
        because="one walk for each status and each category below the one that is asked for, of a whole page at most",
    ),
    "searchProducts": List(
        deep={"": (1_000_000, at("prd", DEEP))},
        filters={"q": ["oak st", "relic", "nothing"], "category": [at("cat", 2), at("cat", 3)]},
        as_=["admin", ""],
        rows=5200,
        pages=1500,
        because="what matches is ranked, and there is a bound to how much that is",
    ),
}


def test_every_list_is_known_with_all_of_its_filters_and_orders():
    check_known("catalog", LISTS)


@pytest.mark.slow
async def test_a_page_reads_little_more_than_it_shows_wherever_it_is(settings: Settings):
    await check_pages(settings, "catalog", FILLING, LISTS)
