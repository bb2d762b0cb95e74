"""What payments shows, and the queries that answer it."""

from datetime import datetime
from typing import Protocol

import msgspec

from shared.domain.money import Money
from shared.domain.page import PageRequest, Slice


class IntentView(msgspec.Struct, frozen=True, kw_only=True):
    """A payment intent, and how much of it is authorised, captured and given back."""

    id: str
    reference: str
    status: str
    amount: Money
    authorized: Money
    captured: Money
    refunded: Money
    decline_code: str | None
    action_url: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class RefundView(msgspec.Struct, frozen=True, kw_only=True):
    """A refund. It is pending until the provider has decided."""

    id: str
    payment_intent: str
    status: str
    amount: Money
    reason: str
    failure: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """What an account holds in one currency: its sums, and its balance on the side where it normally stands."""

    account: str
    kind: str
    debit: Money
    credit: Money
    balance: Money


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """The chart of accounts is short: it is one page."""

    data: list[AccountView]


class PostingView(msgspec.Struct, frozen=True, kw_only=True):
    account: str
    debit: Money
    credit: Money


class TransactionView(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction of the books. `reverses` is the transaction that it undoes."""

    id: str
    source: str
    source_id: str
    kind: str
    reverses: str | None
    postings: list[PostingView]
    created_at: datetime


class CurrencyTotal(msgspec.Struct, frozen=True, kw_only=True):
    debit: Money
    credit: Money


class TrialBalance(msgspec.Struct, frozen=True, kw_only=True):
    """All accounts and their totals per currency; `balanced` when debit equals credit in each."""

    balanced: bool
    accounts: list[AccountView]
    totals: list[CurrencyTotal]


class BalanceDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A kept balance that is not the sum of its postings, all in minor units of `currency`."""

    account: str
    currency: str
    debit: int
    credit: int
    posted_debit: int
    posted_credit: int


class PaymentQueries(Protocol):
    async def intent(self, intent_id: str) -> IntentView:
        """Raises NotFound."""
        ...

    async def intents(self, page: PageRequest, reference: str | None) -> Slice[IntentView]:
        """Newest first."""
        ...

    async def refund(self, refund_id: str) -> RefundView:
        """Raises NotFound."""
        ...

    async def refunds(self, page: PageRequest, intent_id: str | None) -> Slice[RefundView]:
        """Newest first."""
        ...


class LedgerQueries(Protocol):
    async def accounts(self) -> Accounts: ...

    async def transactions(self, page: PageRequest, source_id: str | None) -> Slice[TransactionView]:
        """Newest first."""
        ...

    async def trial_balance(self) -> TrialBalance:
        """All sums of one moment."""
        ...

    async def differences(self) -> list[BalanceDifference]:
        """What the kept balances say otherwise than the postings do; reads the whole history."""
        ...
