"""The lists of inventory on large tables: no page of them reads much more than it shows."""

from collections.abc import Mapping
from typing import Final

import pytest

from shared.infra.config import Settings
from tests.support.lists import DEEP, List, at, by_id, check_known, check_pages

# One SKU lies in half of the locations, and in one location lies every SKU.
FILLING: Final = """
delete from stock_location;
insert into stock_location (id, name, is_default) select at('loc', n), 'Location ' || n, n = 1 from rows;
insert into stock_level (location_id, sku, on_hand) select at('loc', 1), 'S' || lpad(n::text, 8, '0'), 9 from rows where n % 2 = 0;
insert into stock_level (location_id, sku, on_hand) select at('loc', n), 'EVERYWHERE', 9 from rows where n % 2 = 0;
insert into stock_movement (id, kind, sku, quantity, location_id, reason, actor)
select at('mov', n), 'received', case when n <= rare then 'RARE' else 'S' || lpad((n % 9)::text, 8, '0') end, 1, at('loc', 1), '', ''
from rows
"""
LISTS: Final[Mapping[str, List]] = {
    "listStockLocations": by_id("loc"),
    "listStockLevels": List(
        deep={"": ("EVERYWHERE", at("loc", DEEP))},
        filters={"sku": ["S00001000", "EVERYWHERE"], "location": [at("loc", 1), at("loc", DEEP)]},
    ),
    "listStockMovements": by_id("mov", filters={"sku": ["RARE", "S00000001"]}),
}


def test_every_list_is_known_with_all_of_its_filters_and_orders():
    check_known("inventory", LISTS)


@pytest.mark.slow
async def test_a_page_reads_little_more_than_it_shows_wherever_it_is(settings: Settings):
    await check_pages(settings, "inventory", FILLING, LISTS)
