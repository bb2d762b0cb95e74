"""The facade of payments: authorise, capture, cancel and refund, each idempotent by its caller's key."""

from modules.payments.domain import settlement
from modules.payments.domain.attempt import Attempt, AttemptStatus, Operation
from modules.payments.domain.clearing import Clearing, Errand, Settled, write
from modules.payments.domain.errors import AmountNotPositive
from modules.payments.domain.intent import Intent, IntentStatus
from modules.payments.domain.ports import Work
from modules.payments.public import Authorization, CaptureRefused, PaymentPending, PaymentVoided
from shared.domain.ids import new_id
from shared.domain.money import Money, exponent
from shared.domain.once import KeyReused
from shared.domain.work import Transact


class PaymentsService:
    """Each command commits what it is about to do, calls the provider outside any transaction, and commits how it ended."""

    def __init__(self, transact: Transact[Work], clearing: Clearing) -> None:
        self._transact = transact
        self._clearing = clearing

    async def authorize(self, key: str, reference: str, amount: Money, payment_method: str) -> Authorization:
        """See Payments.authorize."""
        require_positive(amount)
        intent = Intent(new_id("pin"), reference, amount)
        attempt = Attempt(new_id("att"), intent.id, Operation.AUTHORIZE, amount, payment_method=payment_method)
        intent.confirm(attempt.id)

        async def begin(work: Work) -> Settled | Errand:
            if await work.payments.begin(key, intent, attempt, claim_s=self._clearing.claim_s):
                return Errand(intent, attempt, fresh=True, held=True)
            known = await work.payments.of_key(key)
            if known is None:
                raise PaymentVoided("the payment was called off before it was authorised")
            if (known[0].reference, known[0].amount) != (reference, amount):
                raise KeyReused("this key has authorised something else")
            return await self._clearing.resume(work, *known) or Settled(*known)

        return authorization((await self._finish(await self._transact(begin))).intent)

    async def capture(self, key: str, intent_id: str, amount: Money | None, expected_version: int | None = None) -> None:
        """See Payments.capture; without an amount all that is left is taken."""

        async def begin(work: Work) -> Settled | Errand:
            intent, known = await work.payments.lock(intent_id, Operation.CAPTURE, key)
            if known is not None:
                if known.intent_id != intent_id or amount not in (None, known.amount):
                    raise KeyReused("this key has captured something else")
                return await self._clearing.resume(work, intent, known) or Settled(intent, known)
            intent.expect_version(expected_version)
            part = amount or Money(intent.capturable, intent.amount.currency)
            intent.begin_capture(part)
            return await self._begin(work, intent, Attempt(new_id("att"), intent_id, Operation.CAPTURE, part, key=key))

        await self._finish_capture(await self._transact(begin))

    async def capture_rest(self, key: str, intent_id: str) -> int:
        """See Payments.capture_rest."""

        async def begin(work: Work) -> Settled | Errand | Intent:
            intent, known = await work.payments.lock(intent_id, Operation.CAPTURE, key)
            if known is not None:
                return await self._clearing.resume(work, intent, known) or Settled(intent, known)
            if intent.status is IntentStatus.CANCELLED:
                raise PaymentVoided("the payment was called off")
            if intent.capturing:
                raise PaymentPending("another capture is under way", retry_after=1)
            if intent.status is IntentStatus.CAPTURED:
                return intent
            rest = Money(intent.capturable, intent.amount.currency)
            intent.begin_capture(rest)
            return await self._begin(work, intent, Attempt(new_id("att"), intent_id, Operation.CAPTURE, rest, key=key))

        begun = await self._transact(begin)
        return (begun if isinstance(begun, Intent) else await self._finish_capture(begun)).captured

    async def cancel(self, key: str, reference: str, reason: str) -> int:
        """See Payments.cancel."""

        async def find(work: Work) -> Intent | None:
            known = await work.payments.of_key(key)
            if known is None and not await work.payments.forbid(key, reference):
                known = await work.payments.of_key(key)
            return known[0] if known else None

        if (intent := await self._transact(find)) is None:
            return 0
        if intent.status is not IntentStatus.CAPTURED:
            await self.cancel_intent(intent.id, expected_version=None)
        return await self._refund_rest(key, intent.id, reason)

    async def cancel_intent(self, intent_id: str, expected_version: int | None) -> None:
        """Call a payment off by its own id: what is not captured is given up."""

        async def begin(work: Work) -> Settled | Errand | None:
            return await self._void(work, intent_id, expected_version)

        await self._finish_void(await self._transact(begin))

    async def refund(self, key: str, intent_id: str, amount: Money, reason: str) -> str:
        """See Payments.refund."""

        async def begin(work: Work) -> Settled | Errand:
            intent, known = await work.payments.lock(intent_id, Operation.REFUND, key)
            if known is not None:
                if (known.intent_id, known.amount, known.reason) != (intent_id, amount, reason):
                    raise KeyReused("this key has refunded something else")
                return await self._clearing.resume(work, intent, known) or Settled(intent, known)
            intent.begin_refund(amount)
            return await self._begin(work, intent, Attempt(new_id("rfd"), intent_id, Operation.REFUND, amount, key=key, reason=reason))

        return (await self._finish(await self._transact(begin))).attempt.id

    async def _refund_rest(self, key: str, intent_id: str, reason: str) -> int:
        """Give back all that was captured and is neither back nor on its way; answers how much was captured."""

        async def begin(work: Work) -> Settled | Errand | Intent:
            intent, known = await work.payments.lock(intent_id, Operation.REFUND, key)
            if known is not None:
                return await self._clearing.resume(work, intent, known) or Settled(intent, known)
            if not intent.refundable:
                return intent
            rest = Money(intent.refundable, intent.amount.currency)
            intent.begin_refund(rest)
            return await self._begin(work, intent, Attempt(new_id("rfd"), intent_id, Operation.REFUND, rest, key=key, reason=reason))

        begun = await self._transact(begin)
        return (begun if isinstance(begun, Intent) else (await self._finish(begun)).intent).captured

    async def confirm(self, key: str, intent_id: str, payment_method: str, expected_version: int | None) -> None:
        """Try to authorise an intent with a card; a declined one may be tried again with another."""

        async def begin(work: Work) -> Settled | Errand:
            intent, known = await work.payments.lock(intent_id, Operation.AUTHORIZE, key)
            if known is not None:
                if (known.intent_id, known.payment_method) != (intent_id, payment_method):
                    raise KeyReused("this key has confirmed something else")
                return await self._clearing.resume(work, intent, known) or Settled(intent, known)
            intent.expect_version(expected_version)
            attempt = Attempt(new_id("att"), intent_id, Operation.AUTHORIZE, intent.amount, key=key, payment_method=payment_method)
            intent.confirm(attempt.id)
            return await self._begin(work, intent, attempt)

        if (await self._finish(await self._transact(begin))).attempt.undecided:
            raise PaymentPending("the provider has not decided yet", retry_after=1)

    async def _begin(self, work: Work, intent: Intent, attempt: Attempt) -> Errand:
        await work.payments.save(intent, attempt, claim_s=self._clearing.claim_s)
        return Errand(intent, attempt, fresh=True, held=True)

    async def _void(self, work: Work, intent_id: str, expected_version: int | None = None) -> Settled | Errand | None:
        """Cancel an intent; a repeat goes on with the void that was begun."""
        intent, known = await work.payments.lock(intent_id, Operation.VOID, intent_id)
        intent.expect_version(expected_version)
        if known is not None:
            return await self._clearing.resume(work, intent, known) or Settled(intent, known)
        if intent.status is IntentStatus.CANCELLED:
            return None
        void, effects = settlement.cancel(intent)
        await write(work, intent, void, effects, claim_s=self._clearing.claim_s)
        return Errand(intent, void, fresh=True, held=True) if void else None

    async def _finish(self, begun: Settled | Errand) -> Settled:
        return begun if isinstance(begun, Settled) else await self._clearing.carry_out(begun)

    async def _finish_capture(self, begun: Settled | Errand) -> Intent:
        settled = await self._finish(begun)
        if settled.attempt.open:
            raise PaymentPending("the provider has not said yet whether it captured", retry_after=1)
        if settled.attempt.status is AttemptStatus.REFUSED:
            raise CaptureRefused("the provider refuses to capture", failure=settled.attempt.failure)
        return settled.intent

    async def _finish_void(self, begun: Settled | Errand | None) -> None:
        if begun is not None and (await self._finish(begun)).attempt.open:
            raise PaymentPending("the provider has not confirmed the cancellation yet", retry_after=1)


def require_positive(amount: Money) -> None:
    """Raises AmountNotPositive, UnknownCurrency."""
    exponent(amount.currency)
    if amount.amount <= 0:
        raise AmountNotPositive("the amount must be positive")


def authorization(intent: Intent) -> Authorization:
    """What the facade says of an intent; raises PaymentPending, PaymentVoided."""
    match intent.status:
        case IntentStatus.AUTHORIZED | IntentStatus.PARTIALLY_CAPTURED | IntentStatus.CAPTURED:
            return Authorization(intent_id=intent.id, status="authorized")
        case IntentStatus.DECLINED:
            return Authorization(intent_id=intent.id, status="declined", decline_code=intent.decline_code)
        case IntentStatus.REQUIRES_ACTION:
            return Authorization(intent_id=intent.id, status="requires_action", action_url=intent.action_url)
        case IntentStatus.CANCELLED:
            raise PaymentVoided("the payment was called off")
        case IntentStatus.CREATED | IntentStatus.PROCESSING:
            raise PaymentPending("the provider has not decided yet", retry_after=1)
