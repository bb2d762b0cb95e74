"""The lists of orders on large tables: no page of them reads much more than it shows."""

from collections.abc import Mapping
from typing import Final

import pytest

from shared.infra.config import Settings
from tests.support.lists import DEEP, List, at, by_id, check_known, check_pages

FILLING: Final = """
insert into customer_order (id, number, cart_id, user_id, shipping_address, currency, rounding, total, status, payment_status,
    fulfilment_status, intent_id, attempt, version, placed_at)
select at('ord', n), n, at('crt', n), at('usr', case when n <= rare * 2 then 1 when n % 2 = 0 then 2 else n end), '{}', 'USD', '', 9,
    case when n > rare * 2 then 'placed' when n % 5 = 0 then 'draft' when n % 2 = 0 then 'completed' else 'cancelled' end,
    'paid', 'unfulfilled', at('pay', n), 1, 1, now()
from rows;
insert into order_entry (id, order_id, kind, facts) overriding system value
select n, at('ord', case when n % 2 = 0 then 1000 else n end), 'captured', '{}' from rows
"""
LISTS: Final[Mapping[str, List]] = {
    "listOrders": by_id("ord", as_=["admin", at("usr", 1), at("usr", 2)]),
    "listTimelineEntries": List(deep={"": (DEEP,)}, of=at("ord", 1000), as_=["admin", at("usr", 2)]),
}


def test_every_list_is_known_with_all_of_its_filters_and_orders():
    check_known("orders", LISTS)


@pytest.mark.slow
async def test_a_page_reads_little_more_than_it_shows_wherever_it_is(settings: Settings):
    await check_pages(settings, "orders", FILLING, LISTS)
