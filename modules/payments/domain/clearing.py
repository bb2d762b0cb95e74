"""Carrying attempts out at the provider: written down before, asked by key when unknown, settled by whoever hears first."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from modules.payments.domain.attempt import Attempt, News, Operation, Outcome
from modules.payments.domain.intent import Intent
from modules.payments.domain.ports import Charge, Notices, Provider, ProviderSilent, Work
from modules.payments.domain.settlement import Effects, settle
from shared.domain.clock import Clock
from shared.domain.context import current
from shared.domain.guard import outbound
from shared.domain.work import Transact

SLACK_S: Final = 5.0
"""How long after its claim was taken an attempt may still be sent: whoever was frozen for longer leaves it to others."""

STUCK_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Settled:
    intent: Intent
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Errand:
    """An open attempt to be carried out. `fresh`: nobody can have sent it yet, so the provider need not be asked first.

    `held`: we have its claim, taken after `since` of this process's monotonic clock.
    """

    intent: Intent
    attempt: Attempt
    fresh: bool
    held: bool
    since: float = field(default_factory=monotonic)


class Clearing:
    """`timeout_s` is the longest that one call of the provider may take."""

    def __init__(self, transact: Transact[Work], provider: Provider, notices: Notices, clock: Clock, *, timeout_s: float = 10.0) -> None:
        self._transact = transact
        self._provider = provider
        self._notices = notices
        self._clock = clock
        self._timeout_s = timeout_s

    @property
    def claim_s(self) -> float:
        """Longer than sending late and waiting in full: a claim outlives the call that it covers."""
        return self._timeout_s + 2 * SLACK_S

    async def resume(self, work: Work, intent: Intent, attempt: Attempt) -> Errand | None:
        """What is left to do about an attempt made before; None when it is decided, or waits for the customer."""
        if not attempt.undecided:
            return None
        return Errand(intent, attempt, fresh=False, held=await work.payments.claim(attempt.id, self.claim_s))

    async def carry_out(self, errand: Errand) -> Settled:
        """Hear from the provider and settle; the attempt stays open when nothing can be heard now."""
        outcome = await self._hear(errand)
        if outcome is None:
            return Settled(errand.intent, errand.attempt)
        return await self.settle(errand.attempt.id, outcome)

    async def settle(self, attempt_id: str, outcome: Outcome) -> Settled:
        return await self._transact(lambda work: settled(work, attempt_id, outcome))

    async def receive(self, body: bytes, signature: str) -> None:
        """Take in a provider's webhook; a repeated one changes nothing. Raises SignatureInvalid, NotFound."""
        notice = self._notices.read(body, signature, self._clock.now())

        async def take_in(work: Work) -> None:
            if await work.inbox.first(notice.id):
                await settled(work, notice.attempt_id, notice.outcome)

        await self._transact(take_in)

    async def reconcile(self, budget_s: float = 20.0) -> int:
        """Ask the provider about attempts that nobody has worked on for two minutes; answers how many were looked at."""
        until, looked_at = monotonic() + budget_s, 0
        while monotonic() < until and (errand := await self._transact(self._stuck)) is not None:
            await self.carry_out(errand)
            looked_at += 1
        return looked_at

    async def _stuck(self, work: Work) -> Errand | None:
        attempt = await work.payments.claim_stuck(STUCK_S, self.claim_s)
        if attempt is None:
            return None
        return Errand(await work.payments.get(attempt.intent_id), attempt, fresh=False, held=True)

    async def _hear(self, errand: Errand) -> Outcome | None:
        outbound("a call of the payment provider")
        attempt = errand.attempt
        try:
            async with asyncio.timeout(min(self._timeout_s, current().seconds_left(self._timeout_s))):
                outcome = await self._ask_or_send(errand)
        except (TimeoutError, ProviderSilent):
            outcome = None
        if outcome is not None and outcome.news is not News.PROCESSING:
            return outcome
        if errand.held and monotonic() < errand.since + self.claim_s:
            await self._transact(lambda work: work.payments.mark_unknown(attempt.id))
        return None

    async def _ask_or_send(self, errand: Errand) -> Outcome | None:
        outcome = None if errand.fresh else await self._provider.find(errand.attempt.id)
        if outcome is None and errand.held and monotonic() < errand.since + SLACK_S:
            return await self._send(errand.intent, errand.attempt)
        return outcome

    def _send(self, intent: Intent, attempt: Attempt) -> Awaitable[Outcome]:
        authorization = intent.authorization or ""
        match attempt.operation:
            case Operation.AUTHORIZE:
                charge = Charge(reference=intent.reference, amount=attempt.amount, payment_method=attempt.payment_method or "")
                return self._provider.authorize(attempt.id, charge)
            case Operation.CAPTURE:
                return self._provider.capture(attempt.id, authorization, attempt.amount)
            case Operation.VOID:
                return self._provider.cancel(attempt.id, authorization)
            case Operation.REFUND:
                return self._provider.refund(attempt.id, authorization, attempt.amount)


async def settled(work: Work, attempt_id: str, outcome: Outcome) -> Settled:
    """Settle inside `work`; who comes second finds the first one's result and answers that."""
    intent, attempt = await work.payments.lock_attempt(attempt_id)
    effects = settle(intent, attempt, outcome)
    if effects is not None:
        await write(work, intent, attempt, effects)
    return Settled(intent, attempt)


async def write(work: Work, intent: Intent, attempt: Attempt | None, effects: Effects, *, claim_s: float = 0.0) -> None:
    """Put a change of a payment into its transaction: the rows, the books, the events."""
    await work.payments.save(intent, attempt, claim_s=claim_s)
    if effects.bookings:
        await work.ledger.post(effects.bookings)
    for event in effects.events:
        work.record(event, version=intent.version)
