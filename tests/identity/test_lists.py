"""The lists of identity on large tables: no page of them reads much more than it shows."""

from collections.abc import Mapping
from typing import Final

import pytest

from shared.infra.config import Settings
from tests.support.lists import List, by_id, check_known, check_pages

FILLING: Final = """
insert into account (id, email, name, locale, password_hash, roles)
select at('usr', n), 'u' || n || '@example.org', 'Ada', 'en', '', case when n = 3 then '{admin}'::text[] else '{customer}' end from rows
"""
LISTS: Final[Mapping[str, List]] = {
    "listUsers": by_id("usr", budget=2),
}


def test_every_list_is_known_with_all_of_its_filters_and_orders():
    check_known("identity", LISTS)


@pytest.mark.slow
async def test_a_page_reads_little_more_than_it_shows_wherever_it_is(settings: Settings):
    await check_pages(settings, "identity", FILLING, LISTS)
