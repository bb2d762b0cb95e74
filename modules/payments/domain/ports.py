"""What payments needs from outside: its tables in one transaction, and a provider of card payments."""

from datetime import datetime
from typing import Protocol

import msgspec

from modules.payments.domain.attempt import Attempt, Operation, Outcome
from modules.payments.domain.intent import Intent
from modules.payments.domain.ledger import Transaction
from modules.payments.domain.views import PaymentQueries
from shared.domain.money import Money
from shared.domain.work import Recorder


class ProviderSilent(Exception):
    """No answer came, or none that says anything: whatever was asked for may have happened, or not."""


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider is asked to hold, on which card, and the reference that it shows."""

    reference: str
    amount: Money
    payment_method: str


class Provider(Protocol):
    """A provider of card payments. `key` makes each call idempotent: a repeat has no second effect and the first answer.

    `authorization` is the key under which the money was authorised. Every call may raise ProviderSilent.
    """

    async def authorize(self, key: str, charge: Charge) -> Outcome: ...

    async def capture(self, key: str, authorization: str, amount: Money) -> Outcome: ...

    async def cancel(self, key: str, authorization: str) -> Outcome:
        """Let go what is not captured. An authorisation that has not arrived yet is refused when it does."""
        ...

    async def refund(self, key: str, authorization: str, amount: Money) -> Outcome: ...

    async def find(self, key: str) -> Outcome | None:
        """How the call with this key ended; None when it never arrived."""
        ...


class PaymentStore(Protocol):
    """`claim_s`: for so long, by the database's clock, the caller alone may carry the attempt out."""

    async def begin(self, key: str, intent: Intent, attempt: Attempt, *, claim_s: float) -> bool:
        """Insert both under the caller's `key`; False, and nothing, when the key is taken by a payment or a tombstone."""
        ...

    async def forbid(self, key: str, reference: str) -> bool:
        """Leave a tombstone under `key`; False when the key is taken."""
        ...

    async def of_key(self, key: str) -> tuple[Intent, Attempt] | None:
        """The payment begun under `key` with its authorisation; None for a tombstone."""
        ...

    async def add(self, intent: Intent) -> None: ...

    async def get(self, intent_id: str) -> Intent:
        """The intent, to look at; raises NotFound."""
        ...

    async def lock(self, intent_id: str, operation: Operation, key: str) -> tuple[Intent, Attempt | None]:
        """The intent, its row locked, and the attempt that was made with this caller's key, if there is one; raises NotFound."""
        ...

    async def lock_attempt(self, attempt_id: str) -> tuple[Intent, Attempt]:
        """The attempt and its intent, both rows locked; raises NotFound."""
        ...

    async def save(self, intent: Intent, attempt: Attempt | None = None, *, claim_s: float = 0.0) -> None:
        """Write a locked intent back, and the attempt, new or known, with its claim."""
        ...

    async def claim(self, attempt_id: str, claim_s: float) -> bool:
        """Become the one who carries an open attempt out; False while somebody else is."""
        ...

    async def claim_stuck(self, stuck_s: float, claim_s: float) -> Attempt | None:
        """Claim the open attempt that nobody has worked on for the longest, if that is at least `stuck_s`."""
        ...

    async def mark_unknown(self, attempt_id: str) -> None:
        """Write down that the provider gave no answer, and give the claim back."""
        ...


class Ledger(Protocol):
    async def post(self, transactions: list[Transaction]) -> None: ...


class Inbox(Protocol):
    async def first(self, message_id: str) -> bool:
        """Whether this message is new; false for one that was taken in before."""
        ...


class Work(Recorder, Protocol):
    """A unit of work of payments."""

    @property
    def payments(self) -> PaymentStore: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def inbox(self) -> Inbox: ...

    @property
    def queries(self) -> PaymentQueries:
        """Reads that see what this transaction has written."""
        ...


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider's webhook says, in our words. `attempt_id` is the idempotency key of the call that it is about."""

    id: str
    attempt_id: str
    outcome: Outcome


class Notices(Protocol):
    """Reads a provider's webhooks."""

    def read(self, body: bytes, signature: str, now: datetime) -> Notice:
        """The notice in a signed body; raises SignatureInvalid."""
        ...
