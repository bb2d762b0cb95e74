"""The books and the lists on Postgres: what the database itself refuses, what balances cost, which index a list walks."""

import asyncio

import asyncpg
import pytest
from click.testing import CliRunner, Result

from entrypoints.commands.ledger import ledger
from entrypoints.container import Root, compose
from modules.payments.infra import store
from modules.payments.infra.balance_check import BalanceCheck, OutOfBalance
from shared.domain.page import PageRequest
from shared.infra.config import Settings
from shared.infra.db.connections import Connection
from tests.payments.till import AMOUNT, Till


@pytest.fixture
async def clerk(till: Till, empty_database: str):
    """A connection with the rights of the runtime role."""
    connection = await asyncpg.connect(empty_database, server_settings={"search_path": "payments"})
    await connection.execute("set role tenon_payments")
    yield connection
    await connection.close()


@pytest.mark.parametrize("legs", [[("provider_receivable", 100, 0)], [("provider_receivable", 100, 0), ("customer_payments", 0, 99)], []])
async def test_a_transaction_out_of_balance_is_not_committed(clerk: Connection, legs: list[tuple[str, int, int]]):
    await clerk.execute("begin")
    await clerk.execute("insert into ledger_transaction (id, source, source_id, kind) values ('ltx_1', 'attempt', 'att_1', 'captured')")
    for leg in legs:
        await clerk.execute(
            "insert into ledger_posting (transaction_id, account, currency, debit, credit) values ('ltx_1', $1, 'USD', $2, $3)", *leg
        )
    with pytest.raises(asyncpg.CheckViolationError, match="ledger transaction ltx_1"):
        await clerk.execute("commit")


async def test_balance_is_kept_in_each_currency_by_itself(clerk: Connection):
    await clerk.execute("begin")
    await clerk.execute("insert into ledger_transaction (id, source, source_id, kind) values ('ltx_1', 'attempt', 'att_1', 'captured')")
    await clerk.execute(
        "insert into ledger_posting (transaction_id, account, currency, debit, credit) values"
        " ('ltx_1', 'provider_receivable', 'USD', 100, 0), ('ltx_1', 'customer_payments', 'EUR', 0, 100)"
    )
    with pytest.raises(asyncpg.CheckViolationError, match="out of balance"):
        await clerk.execute("commit")


async def test_a_posting_added_later_does_not_unbalance_an_old_transaction(till: Till, clerk: Connection):
    await till.authorize()
    with pytest.raises(asyncpg.CheckViolationError, match="out of balance"):
        await clerk.execute(
            "insert into ledger_posting (transaction_id, account, currency, debit, credit)"
            " select id, 'authorizations', 'USD', 1, 0 from ledger_transaction"
        )


@pytest.mark.parametrize("table", ["ledger_transaction", "ledger_posting", "ledger_account"])
@pytest.mark.parametrize("change", ["update {} set {} = null", "delete from {}", "truncate {}"])
async def test_what_is_written_stays_written(till: Till, clerk: Connection, table: str, change: str):
    await till.authorize()
    column = "currency" if table == "ledger_posting" else "created_at"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await clerk.execute(change.format(table, column))


async def test_nothing_is_booked_twice(till: Till, clerk: Connection):
    await till.authorize()
    with pytest.raises(asyncpg.UniqueViolationError):
        await clerk.execute(
            "insert into ledger_transaction (id, source, source_id, kind) select 'ltx_2', source, source_id, kind from ledger_transaction"
        )


async def test_closing_the_books_changes_no_balance_and_leaves_less_to_sum(till: Till):
    await till.captured()
    before, ledger = await till.balances(), till.container.ledger()
    for _ in range(2):
        await ledger.close(settled_s=0.0)
        assert await till.balances() == before
    assert await till.count("select count(*) from ledger_posting where created_at >= (select through from ledger_closing)") == 0
    await till.authorize(key="k2")
    assert (await till.balances())["authorizations"] == before["authorizations"] + AMOUNT.amount


async def test_books_out_of_balance_are_a_failing_health_check(till: Till):
    await till.captured()
    check = BalanceCheck(till.container.ledger())
    await check()
    await till.admin.execute("alter table ledger_posting disable trigger all; update ledger_posting set debit = debit + 1 where debit > 0")
    await till.admin.execute("alter table ledger_posting enable trigger all")
    await check()
    with pytest.raises(OutOfBalance, match=r"debit 30\.03 USD, credit 30\.00 USD"):
        await BalanceCheck(till.container.ledger())()


async def test_what_might_still_be_added_to_is_not_closed(till: Till):
    await till.authorize()
    await till.container.ledger().close()
    assert await till.count("select count(*) from ledger_balance") == 0


async def test_several_closings_at_once_count_everything_once(till: Till):
    await till.captured()
    before = await till.balances()
    await asyncio.gather(*(till.container.ledger().close(settled_s=0.0) for _ in range(8)))
    assert await till.balances() == before


async def test_the_balances_can_be_rebuilt_from_the_postings(till: Till):
    await till.captured()
    before, ledger = await till.balances(), till.container.ledger()
    await ledger.close(settled_s=0.0)
    await till.admin.execute("delete from ledger_balance; update ledger_closing set through = '-infinity'")
    assert await till.balances() == before
    await ledger.close(settled_s=0.0)
    assert await till.balances() == before


async def typed(settings: Settings, *arguments: str) -> Result:
    """In a thread, because a command has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, ledger, arguments, obj=lambda: compose(settings))


async def test_an_operator_finds_a_kept_balance_that_is_not_what_was_posted_and_mends_it(settings: Settings, container: Root):
    await container.payments.facade().authorize("k", "ord_1", AMOUNT, "pm_card_ok")
    books = container.payments.ledger()
    await books.close(settled_s=0.0)
    admin = await asyncpg.connect(settings.database_url, server_settings={"search_path": "payments"})
    assert (await typed(settings, "check")).exit_code == 0

    await admin.execute("update ledger_balance set debit = debit + 5, credit = credit + 5 where account = 'authorizations'")
    await admin.execute("insert into ledger_balance values ('provider_receivable', 'USD', 7, 7)")
    await admin.close()
    assert (await books.trial_balance()).balanced, "which is why it is not enough"
    found = await typed(settings, "check")
    assert (found.exit_code, found.output.splitlines()[1:]) == (
        1,
        [
            "authorizations       USD       1005        1000    5            0",
            "provider_receivable  USD       7           0       7            0",
        ],
    )

    mended = await typed(settings, "rebuild")
    assert (mended.exit_code, mended.output) == (0, found.output)
    assert (await typed(settings, "check")).output == "Every kept balance is the sum of its postings.\n"


async def test_lists_are_walked_by_keyset_newest_first(till: Till):
    for n in range(5):
        await till.authorize(key=f"k{n}")
    desk = till.container.desk()
    seen, request = [], PageRequest(limit=2)
    while True:
        page = await desk.find(request, "ord_1")
        seen += [view.id for view in page.items]
        if page.next is None:
            break
        request = PageRequest(limit=2, after=page.next)
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 5
    assert [view.id for view in (await desk.find(PageRequest(), None)).items] == seen


async def test_the_reconciler_walks_its_index_on_a_large_table(till: Till):
    await till.admin.execute("""
        insert into payment_intent (id, reference, amount, currency, status)
        select 'pin_' || n, 'r' || n % 500, 1, 'USD', 'created' from generate_series(1, 20000) n;
        insert into attempt (id, intent_id, operation, amount, currency, status, claimed_until)
        select 'att_' || n, 'pin_' || n, 'capture', 1, 'USD', case when n % 1000 = 0 then 'unknown' else 'succeeded' end,
            now() - interval '1 hour'
        from generate_series(1, 20000) n;
        analyze payment_intent, attempt;
        set plan_cache_mode = force_generic_plan
    """)
    plan = "\n".join(row[0] for row in await till.admin.fetch(f"explain {store.CLAIM_STUCK}", 120.0, 20.0))
    assert "attempt_open" in plan
    assert "Seq Scan" not in plan
