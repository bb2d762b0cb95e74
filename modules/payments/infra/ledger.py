"""The books on Postgres: transactions posted in one statement, and what is read of them."""

from functools import lru_cache
from itertools import chain
from typing import Final

from modules.payments.domain.ledger import Transaction
from modules.payments.domain.views import (
    Accounts,
    AccountView,
    BalanceDifference,
    CurrencyTotal,
    PostingView,
    TransactionView,
    TrialBalance,
)
from shared.domain.money import Money
from shared.domain.page import PageRequest, Slice, cut
from shared.infra.db.database import Database
from shared.infra.db.statements import Row
from shared.infra.db.unit_of_work import UnitOfWork

SETTLED_S: Final = 3600.0
"""A posting carries the time at which its transaction began; the timeouts of the role let none live for nearly so long."""

_TRANSACTION: Final = ("text", "text", "text", "text", "text")
_POSTING: Final = ("text", "text", "text", "bigint", "bigint")

# What is closed is summed already; ledger_posting_recent finds the rest.
_ACCOUNTS: Final = """
select a.code, a.kind, a.normal_side, p.currency, sum(p.debit)::bigint as debit, sum(p.credit)::bigint as credit
from ledger_account a join (
    select account, currency, debit, credit from ledger_balance
    union all
    select account, currency, debit, credit from ledger_posting where created_at >= (select through from ledger_closing)
) p on p.account = a.code
group by a.code, p.currency order by a.code, p.currency
"""
_CLOSE: Final = """
with closing as (
    select through as since, now() - make_interval(secs => $1) as until from ledger_closing for update
), closed as (
    insert into ledger_balance as b (account, currency, debit, credit)
    select account, currency, sum(debit), sum(credit) from ledger_posting, closing where created_at >= since and created_at < until
    group by account, currency
    on conflict (account, currency) do update set debit = b.debit + excluded.debit, credit = b.credit + excluded.credit
)
update ledger_closing set through = until from closing where until > since
"""
_DIFFERENCES: Final = """
with posted as (
    select account, currency, sum(debit)::bigint as debit, sum(credit)::bigint as credit
    from ledger_posting where created_at < (select through from ledger_closing) group by account, currency
), differing as (
    select account, currency, coalesce(b.debit, 0) as debit, coalesce(b.credit, 0) as credit,
        coalesce(p.debit, 0) as posted_debit, coalesce(p.credit, 0) as posted_credit
    from ledger_balance b full join posted p using (account, currency)
    where coalesce(b.debit, 0) <> coalesce(p.debit, 0) or coalesce(b.credit, 0) <> coalesce(p.credit, 0)
)
"""
_FIND_DIFFERENCES: Final = f"{_DIFFERENCES} select * from differing order by account, currency"  # noqa: S608 - constants of ours
_LOCK_CLOSING: Final = "select through from ledger_closing for update"
_MEND_DIFFERENCES: Final = f"""
{_DIFFERENCES}, mended as (
    insert into ledger_balance (account, currency, debit, credit) select account, currency, posted_debit, posted_credit from differing
    on conflict (account, currency) do update set debit = excluded.debit, credit = excluded.credit
)
select * from differing order by account, currency
"""  # noqa: S608 - as above
_TRANSACTIONS: Final = """
select id, source, source_id, kind, reverses, created_at from ledger_transaction
where id < $2 order by id desc limit $1
"""
# ledger_transaction_source_unique
_TRANSACTIONS_OF: Final = """
select id, source, source_id, kind, reverses, created_at from ledger_transaction
where source_id = $3 and id < $2 order by id desc limit $1
"""
# ledger_posting_by_transaction
_POSTINGS: Final = (
    "select transaction_id, account, currency, debit, credit from ledger_posting where transaction_id = any($1::text[]) order by id"
)


class SqlLedger:
    """Implements Ledger in one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def post(self, transactions: list[Transaction]) -> None:
        entries = [(each.id, each.source, each.source_id, each.kind, each.reverses) for each in transactions]
        postings = [(each.id, p.account, p.currency, p.debit, p.credit) for each in transactions for p in each.postings]
        self._uow.append(_enter(len(entries)), *chain.from_iterable(entries))
        self._uow.append(_post(len(postings)), *chain.from_iterable(postings))

    async def rebuild(self) -> list[BalanceDifference]:
        """Make the kept balances what the postings add up to; answers what was otherwise. No closing happens meanwhile."""
        await self._uow.fetch(_LOCK_CLOSING)
        return _differences(await self._uow.fetch(_MEND_DIFFERENCES))


class SqlLedgerQueries:
    """Implements LedgerQueries, and keeps the balances that they read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accounts(self) -> Accounts:
        return Accounts(data=[_account(row) for row in await self._database.fetch(_ACCOUNTS)])

    async def trial_balance(self) -> TrialBalance:
        accounts = (await self.accounts()).data
        currencies = sorted({account.debit.currency for account in accounts})
        totals = [_total(accounts, currency) for currency in currencies]
        return TrialBalance(balanced=all(total.debit == total.credit for total in totals), accounts=accounts, totals=totals)

    async def differences(self) -> list[BalanceDifference]:
        return _differences(await self._database.fetch(_FIND_DIFFERENCES))

    async def close(self, settled_s: float = SETTLED_S) -> None:
        """Sum what nobody can add to any more into the balances, so that reading them never costs the whole history."""
        await self._database.fetch(_CLOSE, settled_s)

    async def transactions(self, page: PageRequest, source_id: str | None) -> Slice[TransactionView]:
        async with self._database.snapshot() as reader:
            if source_id is None:
                rows = await reader.fetch(_TRANSACTIONS, page.limit + 1, page.before)
            else:
                rows = await reader.fetch(_TRANSACTIONS_OF, page.limit + 1, page.before, source_id)
            postings: dict[str, list[PostingView]] = {row["id"]: [] for row in rows}
            for row in await reader.fetch(_POSTINGS, list(postings)):
                debit, credit = Money(row["debit"], row["currency"]), Money(row["credit"], row["currency"])
                postings[row["transaction_id"]].append(PostingView(account=row["account"], debit=debit, credit=credit))
        views = [_transaction(row, postings[row["id"]]) for row in rows]
        return cut(views, page, lambda view: (view.id,))


@lru_cache(maxsize=16)
def _enter(transactions: int) -> str:
    """Scalar VALUES, which are planned once, unlike arrays."""
    return f"""
        insert into ledger_transaction (id, source, source_id, kind, reverses)
        select v.id, v.source, v.source_id, v.kind, undone.id
        from (values {_values(transactions, _TRANSACTION)}) v (id, source, source_id, kind, reverses)
        left join ledger_transaction undone
            on undone.source_id = v.source_id and undone.source = v.source and undone.kind = v.reverses
    """  # noqa: S608 - only numbered placeholders are put together


@lru_cache(maxsize=16)
def _post(postings: int) -> str:
    values = _values(postings, _POSTING)
    return f"insert into ledger_posting (transaction_id, account, currency, debit, credit) values {values}"  # noqa: S608 - as above


def _values(rows: int, types: tuple[str, ...]) -> str:
    width = len(types)
    return ", ".join("(" + ", ".join(f"${1 + row * width + i}::{kind}" for i, kind in enumerate(types)) + ")" for row in range(rows))


def _differences(rows: list[Row]) -> list[BalanceDifference]:
    return [BalanceDifference(**row) for row in rows]


def _account(row: Row) -> AccountView:
    currency, balance = row["currency"], row["debit"] - row["credit"]
    return AccountView(
        account=row["code"],
        kind=row["kind"],
        debit=Money(row["debit"], currency),
        credit=Money(row["credit"], currency),
        balance=Money(balance if row["normal_side"] == "debit" else -balance, currency),
    )


def _total(accounts: list[AccountView], currency: str) -> CurrencyTotal:
    same = [account for account in accounts if account.debit.currency == currency]
    return CurrencyTotal(
        debit=Money(sum(account.debit.amount for account in same), currency),
        credit=Money(sum(account.credit.amount for account in same), currency),
    )


def _transaction(row: Row, postings: list[PostingView]) -> TransactionView:
    return TransactionView(
        id=row["id"],
        source=row["source"],
        source_id=row["source_id"],
        kind=row["kind"],
        reverses=row["reverses"],
        postings=postings,
        created_at=row["created_at"],
    )
