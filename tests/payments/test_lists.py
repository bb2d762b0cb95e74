"""The lists of payments on large tables: no page of them reads much more than it shows."""

from collections.abc import Mapping
from typing import Final

import pytest

from shared.infra.config import Settings
from tests.support.lists import List, at, by_id, check_known, check_pages

FILLING: Final = """
insert into payment_intent (id, reference, amount, currency, status)
select at('pay', n), case when n <= rare then 'rare' else 'common' end, 9, 'USD', 'created' from rows;
insert into attempt (id, intent_id, operation, amount, currency, status, reason, claimed_until)
select at('att', n), at('pay', case when n <= rare then 1 when n % 20 = 0 then 2 else n end), o.operation, 9, 'USD', 'succeeded',
    case when o.operation = 'refund' then 'no' end, now()
from rows, lateral (select case when n <= rare or n % 20 = 0 then 'refund' else 'capture' end as operation) o;
insert into ledger_transaction (id, source, source_id, kind) select at('ltx', n), 'attempt', at('att', n), 'captured' from rows;
insert into ledger_posting (transaction_id, account, currency, debit, credit, created_at)
select at('ltx', n), 'customer_payments', 'USD', 0, 9, now() - interval '1 year' from rows;
insert into ledger_balance select account, currency, sum(debit), sum(credit) from ledger_posting group by account, currency;
update ledger_closing set through = now() - interval '1 day'
"""
LISTS: Final[Mapping[str, List]] = {
    "listPaymentIntents": by_id("pay", filters={"reference": ["rare", "common"]}),
    "listRefunds": by_id("att", filters={"payment_intent": [at("pay", 1), at("pay", 2)]}),
    "listLedgerTransactions": by_id("ltx", budget=2, filters={"source_id": [at("att", 1)]}),
}


def test_every_list_is_known_with_all_of_its_filters_and_orders():
    check_known("payments", LISTS)


@pytest.mark.slow
async def test_a_page_reads_little_more_than_it_shows_wherever_it_is(settings: Settings):
    await check_pages(settings, "payments", FILLING, LISTS)
