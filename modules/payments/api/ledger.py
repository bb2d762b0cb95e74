"""The books over HTTP."""

from litestar import Controller
from litestar.di import NamedDependency
from litestar.params import FromQuery

from modules.payments.domain.views import Accounts, LedgerQueries, TransactionView, TrialBalance
from shared.api.answers import Reply, ok
from shared.api.paging import Page, Paging
from shared.api.routes import get
from shared.api.types import Id


class Ledger(Controller):
    path = "/v1/ledger"
    tags = ("ledger",)

    @get("/accounts", operation="listLedgerAccounts")
    async def accounts(self, ledger: NamedDependency[LedgerQueries]) -> Reply[Accounts]:
        """Every account with its sums and balance, per currency."""
        return ok(await ledger.accounts())

    @get("/transactions", operation="listLedgerTransactions")
    async def transactions(
        self, paging: Paging, ledger: NamedDependency[LedgerQueries], source_id: FromQuery[Id | None] = None
    ) -> Reply[Page[TransactionView]]:
        """Transactions with their postings, the newest first; `source_id` is the attempt or refund that caused them."""
        return paging.page(await ledger.transactions(paging.request, source_id))

    @get("/trial_balance", operation="getTrialBalance")
    async def trial_balance(self, ledger: NamedDependency[LedgerQueries]) -> Reply[TrialBalance]:
        """Debit against credit in each currency: they are equal, always."""
        return ok(await ledger.trial_balance())
