"""The books in double entry: which accounts exist, and what each change of a payment posts to them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from modules.payments.domain.attempt import Attempt
from shared.domain.ids import new_id
from shared.domain.money import Money

PROVIDER: Final = "provider_receivable"
CUSTOMERS: Final = "customer_payments"
HOLDS: Final = "authorizations"
HOLDS_OFFSET: Final = "authorizations_offset"

ACCOUNTS: Final[Mapping[str, str]] = {PROVIDER: "asset", CUSTOMERS: "liability", HOLDS: "contingent", HOLDS_OFFSET: "contingent"}
"""Account → kind. Captured money is what the provider owes us, against what customers have paid us. What is only held
on a card is no money yet: it stands on two contingent accounts of its own, outside the balance."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One side of a transaction; exactly one of the two amounts is positive, the other is zero."""

    account: str
    currency: str
    debit: int
    credit: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """`source`, `source_id` and `kind` say what caused it, and are unique together: nothing is booked twice.

    `reverses` names the kind of the same source's transaction that this one undoes.
    """

    id: str
    source: str
    source_id: str
    kind: str
    postings: tuple[Posting, ...]
    reverses: str | None = None

    def balanced(self) -> bool:
        """At least two postings, and in each currency as much debit as credit."""
        sums: defaultdict[str, int] = defaultdict(int)
        for posting in self.postings:
            sums[posting.currency] += posting.debit - posting.credit
        return len(self.postings) >= 2 and not any(sums.values())


def authorized(attempt: Attempt) -> Transaction:
    return _transaction(attempt, "authorized", *_hold(attempt.amount))


def released(attempt: Attempt) -> Transaction:
    """What was held and will not be captured."""
    return _transaction(attempt, "released", *_release(attempt.amount))


def captured(attempt: Attempt) -> Transaction:
    return _transaction(attempt, "captured", *_release(attempt.amount), *_entry(PROVIDER, CUSTOMERS, attempt.amount))


def refunded(attempt: Attempt) -> Transaction:
    return _transaction(attempt, "refunded", *_entry(CUSTOMERS, PROVIDER, attempt.amount))


def refund_reversed(attempt: Attempt) -> Transaction:
    """The provider took a refund back that had been booked: the books are corrected by its reversal."""
    return reversal(refunded(attempt), kind="refund_reversed")


def reversal(of: Transaction, *, kind: str) -> Transaction:
    """The transaction that undoes another: every posting with its sides exchanged."""
    postings = tuple(Posting(p.account, p.currency, p.credit, p.debit) for p in of.postings)
    return Transaction(new_id("ltx"), of.source, of.source_id, kind, postings, reverses=of.kind)


def _hold(amount: Money) -> tuple[Posting, Posting]:
    return _entry(HOLDS, HOLDS_OFFSET, amount)


def _release(amount: Money) -> tuple[Posting, Posting]:
    return _entry(HOLDS_OFFSET, HOLDS, amount)


def _entry(debit: str, credit: str, amount: Money) -> tuple[Posting, Posting]:
    return Posting(debit, amount.currency, amount.amount, 0), Posting(credit, amount.currency, 0, amount.amount)


def _transaction(attempt: Attempt, kind: str, *postings: Posting) -> Transaction:
    return Transaction(new_id("ltx"), "attempt", attempt.id, kind, postings)
