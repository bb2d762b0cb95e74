"""The lists of notifications on large tables: no page of them reads much more than it shows."""

from collections.abc import Mapping
from typing import Final

import pytest

from shared.infra.config import Settings
from tests.support.lists import List, at, by_id, check_known, check_pages

FILLING: Final = """
insert into notification (id, event_id, template, recipient, about, locale, status, ended_at)
select at('ntf', n), at('evt', n), 'order_confirmed', at('usr', n), at('ord', case when n <= rare then 1 else 2 end), 'en', 'sent', now()
from rows
"""
LISTS: Final[Mapping[str, List]] = {
    "listNotifications": by_id("ntf", filters={"about": [at("ord", 1), at("ord", 2)]}),
}


def test_every_list_is_known_with_all_of_its_filters_and_orders():
    check_known("notifications", LISTS)


@pytest.mark.slow
async def test_a_page_reads_little_more_than_it_shows_wherever_it_is(settings: Settings):
    await check_pages(settings, "notifications", FILLING, LISTS)
