"""Small stand-ins: payments kept in memory, and a provider that does what a test tells it."""

import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from modules.payments.domain.attempt import Attempt, News, Operation, Outcome
from modules.payments.domain.errors import SignatureInvalid
from modules.payments.domain.intent import Intent
from modules.payments.domain.ledger import Transaction
from modules.payments.domain.ports import Charge, Notice, ProviderSilent
from modules.payments.domain.views import PaymentQueries
from shared.domain.errors import NotFound
from shared.domain.events import Event
from shared.domain.guard import hold, let_go
from shared.domain.money import Money

T = TypeVar("T")


@dataclass
class Kept:
    """What a database would hold. `claimed` are attempts under a claim that has not run out."""

    keys: dict[str, str | None] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)
    books: list[Transaction] = field(default_factory=list)
    inbox: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)


class MemoryStore:
    """Implements PaymentStore, Ledger and Inbox."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept

    async def begin(self, key: str, intent: Intent, attempt: Attempt, *, claim_s: float) -> bool:
        if key in self.kept.keys:
            return False
        self.kept.keys[key] = intent.id
        await self.save(intent, attempt, claim_s=claim_s)
        return True

    async def forbid(self, key: str, reference: str) -> bool:
        if key in self.kept.keys:
            return False
        self.kept.keys[key] = None
        return True

    async def of_key(self, key: str) -> tuple[Intent, Attempt] | None:
        intent_id = self.kept.keys.get(key)
        if intent_id is None:
            return None
        intent = await self.get(intent_id)
        return intent, deepcopy(self.kept.attempts[intent.authorization or ""])

    async def add(self, intent: Intent) -> None:
        self.kept.intents[intent.id] = deepcopy(intent)

    async def get(self, intent_id: str) -> Intent:
        if intent_id not in self.kept.intents:
            raise NotFound("no such payment intent")
        return deepcopy(self.kept.intents[intent_id])

    async def lock(self, intent_id: str, operation: Operation, key: str) -> tuple[Intent, Attempt | None]:
        made = (a for a in self.kept.attempts.values() if (a.operation, a.key) == (operation, key))
        return await self.get(intent_id), deepcopy(next(made, None))

    async def lock_attempt(self, attempt_id: str) -> tuple[Intent, Attempt]:
        if attempt_id not in self.kept.attempts:
            raise NotFound("no such attempt")
        attempt = deepcopy(self.kept.attempts[attempt_id])
        return await self.get(attempt.intent_id), attempt

    async def save(self, intent: Intent, attempt: Attempt | None = None, *, claim_s: float = 0.0) -> None:
        await self.add(intent)
        if attempt is not None:
            self.kept.attempts[attempt.id] = deepcopy(attempt)
            self.kept.claimed.discard(attempt.id)
            if claim_s:
                self.kept.claimed.add(attempt.id)

    async def claim(self, attempt_id: str, claim_s: float) -> bool:
        free = attempt_id not in self.kept.claimed
        self.kept.claimed.add(attempt_id)
        return free

    async def claim_stuck(self, stuck_s: float, claim_s: float) -> Attempt | None:
        for attempt in self.kept.attempts.values():
            if attempt.open and attempt.id not in self.kept.claimed:
                self.kept.claimed.add(attempt.id)
                return deepcopy(attempt)
        return None

    async def mark_unknown(self, attempt_id: str) -> None:
        self.kept.claimed.discard(attempt_id)
        self.kept.attempts[attempt_id].hear(Outcome(news=News.PROCESSING))

    async def post(self, transactions: list[Transaction]) -> None:
        self.kept.books += transactions

    async def first(self, message_id: str) -> bool:
        new = message_id not in self.kept.inbox
        self.kept.inbox.add(message_id)
        return new


class MemoryWork:
    """Implements Work, as far as these use cases go."""

    queries: PaymentQueries

    def __init__(self, kept: Kept) -> None:
        self.payments = self.ledger = self.inbox = MemoryStore(kept)
        self._kept = kept

    def record(self, event: Event, *, version: int) -> None:
        self._kept.events.append(event)

    def enqueue(
        self, kind: str, payload: object, *, unique: str | None = None, delay_s: float = 0.0, key: str = "", priority: int = 5
    ) -> None:
        raise AssertionError("payments enqueues nothing")

    def begin_saga(self, name: str, state: msgspec.Struct, *, key: str) -> str:
        raise AssertionError("payments has no saga")

    def wake_saga(self, saga_id: str) -> None:
        raise AssertionError("payments has no saga")


class MemoryTransact:
    """All or nothing, and nothing outbound meanwhile."""

    def __init__(self) -> None:
        self.kept = Kept()

    async def __call__(self, work: Callable[[Any], Awaitable[T]], /) -> T:
        before, held = deepcopy(self.kept), hold("tenon_payments")
        try:
            return await work(MemoryWork(self.kept))
        except BaseException:
            vars(self.kept).update(vars(before))
            raise
        finally:
            let_go(held)


class ToldProvider:
    """Implements Provider. `calls` lists what arrived; `effects` counts by key what was carried out."""

    def __init__(self) -> None:
        self.answer = Outcome(news=News.SUCCEEDED)
        self.lose_answers = False
        self.lose_calls = False
        self.hang = False
        self.gate: asyncio.Event | None = None
        self.entered = asyncio.Event()
        self.calls: list[str] = []
        self.effects: dict[str, Outcome] = {}

    async def authorize(self, key: str, charge: Charge) -> Outcome:
        return await self._call("authorize", key)

    async def capture(self, key: str, authorization: str, amount: Money) -> Outcome:
        return await self._call("capture", key)

    async def cancel(self, key: str, authorization: str) -> Outcome:
        self.effects.setdefault(authorization, Outcome(news=News.REFUSED, failure="cancelled"))
        return await self._call("cancel", key)

    async def refund(self, key: str, authorization: str, amount: Money) -> Outcome:
        return await self._call("refund", key)

    async def find(self, key: str) -> Outcome | None:
        self.calls.append("find")
        return self.effects.get(key)

    async def _call(self, what: str, key: str) -> Outcome:
        self.calls.append(what)
        self.entered.set()
        if self.gate is not None and what == "authorize":
            await self.gate.wait()
        if self.lose_calls:
            raise ProviderSilent("it never arrived")
        self.effects.setdefault(key, self.answer)
        if self.hang:
            await asyncio.Event().wait()
        if self.lose_answers:
            raise ProviderSilent("the answer was lost")
        return self.effects[key]


class PlainNotices:
    """Implements Notices without a signature worth the name."""

    def read(self, body: bytes, signature: str, now: datetime) -> Notice:
        if signature != "signed":
            raise SignatureInvalid("not signed")
        return msgspec.json.decode(body, type=Notice)
