"""The facade of payments on fakes: what happens when the provider answers, declines, is silent, late or overtaken."""

import asyncio
from time import monotonic

import msgspec
import pytest

from modules.payments.domain.attempt import Attempt, AttemptStatus, News, Operation, Outcome
from modules.payments.domain.clearing import SLACK_S, Clearing, Errand
from modules.payments.domain.errors import AmountNotPositive, CaptureTooLarge, SignatureInvalid
from modules.payments.domain.intent import Intent, IntentStatus
from modules.payments.domain.ports import Notice
from modules.payments.domain.service import PaymentsService
from modules.payments.public import Authorization, CaptureRefused, PaymentPending, PaymentVoided
from shared.domain.clock import SystemClock
from shared.domain.context import Context, begin
from shared.domain.errors import IllegalTransition
from shared.domain.guard import OutboundInTransaction, hold, let_go
from shared.domain.money import Money, UnknownCurrency
from shared.domain.once import KeyReused
from tests.payments.fakes import Kept, MemoryTransact, PlainNotices, ToldProvider

AMOUNT = Money(1000, "USD")
REFUSED = Outcome(news=News.REFUSED, failure="insufficient_funds")


class Shop:
    def __init__(self) -> None:
        self.transact = MemoryTransact()
        self.provider = ToldProvider()
        self.clearing = Clearing(self.transact, self.provider, PlainNotices(), SystemClock(), timeout_s=0.05)
        self.payments = PaymentsService(self.transact, self.clearing)

    @property
    def kept(self) -> Kept:
        return self.transact.kept

    @property
    def intent(self) -> Intent:
        (intent,) = self.kept.intents.values()
        return intent

    def attempt(self, operation: Operation) -> Attempt:
        (attempt,) = (a for a in self.kept.attempts.values() if a.operation is operation)
        return attempt

    def events(self) -> list[str]:
        return [event.event_type.removeprefix("payments.") for event in self.kept.events]

    async def authorize(self, key: str = "k", amount: Money = AMOUNT):
        return await self.payments.authorize(key, "ord_1", amount, "pm_card_ok")

    async def hear(self, attempt: Attempt, news: News, *, id: str = "pev_1") -> None:
        notice = Notice(id=id, attempt_id=attempt.id, outcome=Outcome(news=news))
        await self.clearing.receive(msgspec.json.encode(notice), "signed")


@pytest.fixture
def shop() -> Shop:
    begin(Context())
    return Shop()


async def test_an_approved_card_is_authorised_and_told(shop: Shop):
    answer = await shop.authorize()
    assert (answer.status, answer.intent_id) == ("authorized", shop.intent.id)
    assert shop.events() == ["payment_authorized"]
    assert shop.intent.authorized == 1000


async def test_the_attempt_is_written_down_before_the_provider_is_called(shop: Shop):
    shop.provider.gate = asyncio.Event()
    pending = asyncio.ensure_future(shop.authorize())
    await shop.provider.entered.wait()
    assert shop.attempt(Operation.AUTHORIZE).status is AttemptStatus.PENDING
    shop.provider.gate.set()
    await pending


async def test_a_repeated_key_answers_the_same_and_calls_nobody(shop: Shop):
    first = await shop.authorize()
    assert await shop.authorize() == first
    assert shop.provider.calls == ["authorize"]
    assert shop.events() == ["payment_authorized"]


async def test_a_key_is_not_used_for_another_amount(shop: Shop):
    await shop.authorize()
    with pytest.raises(KeyReused):
        await shop.authorize(amount=Money(999, "USD"))


async def test_a_decline_is_a_result_that_stays(shop: Shop):
    shop.provider.answer = REFUSED
    answer = await shop.authorize()
    assert (answer.status, answer.decline_code) == ("declined", "insufficient_funds")
    assert await shop.authorize() == answer
    assert shop.events() == ["payment_failed"]


async def test_the_customer_is_sent_to_the_issuer_and_the_webhook_ends_it(shop: Shop):
    shop.provider.answer = Outcome(news=News.REQUIRES_ACTION, action_url="https://issuer.example/1")
    answer = await shop.authorize()
    assert (answer.status, answer.action_url) == ("requires_action", "https://issuer.example/1")
    await shop.hear(shop.attempt(Operation.AUTHORIZE), News.SUCCEEDED)
    assert await shop.authorize() == Authorization(intent_id=answer.intent_id, status="authorized")
    assert shop.events() == ["payment_requires_action", "payment_authorized"]


async def test_silence_is_unknown_and_the_next_call_asks_by_key_before_it_sends(shop: Shop):
    shop.provider.lose_answers = True
    with pytest.raises(PaymentPending):
        await shop.authorize()
    assert shop.attempt(Operation.AUTHORIZE).status is AttemptStatus.UNKNOWN
    assert (await shop.authorize()).status == "authorized"
    assert shop.provider.calls == ["authorize", "find"]


async def test_a_provider_that_hangs_is_waited_for_no_longer_than_the_calls_timeout(shop: Shop):
    shop.provider.hang = True
    with pytest.raises(PaymentPending):
        await shop.authorize()
    assert shop.attempt(Operation.AUTHORIZE).status is AttemptStatus.UNKNOWN


async def test_a_request_whose_time_is_up_waits_for_nobody(shop: Shop):
    begin(Context(deadline=monotonic()))
    shop.provider.gate = asyncio.Event()
    with pytest.raises(PaymentPending):
        await shop.authorize()


async def test_what_never_arrived_is_sent_again_under_the_same_key(shop: Shop):
    shop.provider.lose_calls = True
    with pytest.raises(PaymentPending):
        await shop.authorize()
    shop.provider.lose_calls = False
    assert (await shop.authorize()).status == "authorized"
    assert shop.provider.calls == ["authorize", "find", "authorize"]
    assert list(shop.provider.effects) == [shop.attempt(Operation.AUTHORIZE).id]


async def test_who_finds_another_at_work_asks_but_does_not_send(shop: Shop):
    shop.provider.gate = asyncio.Event()
    first = asyncio.ensure_future(shop.authorize())
    await shop.provider.entered.wait()
    with pytest.raises(PaymentPending):
        await shop.authorize()
    shop.provider.gate.set()
    assert (await first).status == "authorized"
    assert shop.provider.calls == ["authorize", "find"]


async def test_who_was_frozen_after_its_claim_sends_nothing(shop: Shop):
    intent = Intent("pin_1", "ord_1", AMOUNT, IntentStatus.PROCESSING, "att_1")
    attempt = Attempt("att_1", "pin_1", Operation.AUTHORIZE, AMOUNT, payment_method="pm_card_ok")
    late = Errand(intent, attempt, fresh=True, held=True, since=monotonic() - SLACK_S - 100)
    assert (await shop.clearing.carry_out(late)).attempt.open
    assert shop.provider.calls == []


async def test_the_provider_is_never_called_inside_a_transaction(shop: Shop):
    await shop.authorize()
    errand = Errand(shop.intent, shop.attempt(Operation.AUTHORIZE), fresh=False, held=False)
    held = hold("tenon_payments")
    try:
        with pytest.raises(OutboundInTransaction):
            await shop.clearing.carry_out(errand)
    finally:
        let_go(held)


@pytest.mark.parametrize(("amount", "refusal"), [(Money(0, "USD"), AmountNotPositive), (Money(1, "XTS"), UnknownCurrency)])
async def test_nonsense_is_refused_before_anything_is_written(shop: Shop, amount: Money, refusal: type[Exception]):
    with pytest.raises(refusal):
        await shop.authorize(amount=amount)
    assert shop.kept == Kept()


async def test_a_cancellation_that_overtakes_its_authorisation_wins(shop: Shop):
    await shop.payments.cancel("k", "ord_1", "cancelled")
    with pytest.raises(PaymentVoided):
        await shop.authorize()
    assert shop.provider.calls == []
    assert shop.events() == []


async def test_a_cancellation_during_the_call_wins_over_its_approval(shop: Shop):
    shop.provider.gate = asyncio.Event()
    authorizing = asyncio.ensure_future(shop.authorize())
    await shop.provider.entered.wait()
    await shop.payments.cancel("k", "ord_1", "cancelled")
    shop.provider.gate.set()
    with pytest.raises(PaymentVoided):
        await authorizing
    assert shop.events() == ["payment_cancelled"]
    assert shop.attempt(Operation.VOID).status is AttemptStatus.SUCCEEDED
    assert shop.kept.books == []


async def test_cancelling_twice_is_cancelling_once(shop: Shop):
    await shop.authorize()
    await shop.payments.cancel("k", "ord_1", "cancelled")
    await shop.payments.cancel("k", "ord_1", "cancelled")
    assert shop.provider.calls == ["authorize", "cancel"]
    assert shop.events() == ["payment_authorized", "payment_cancelled"]
    assert [book.kind for book in shop.kept.books] == ["authorized", "released"]


async def test_a_cancellation_is_repeated_until_the_provider_has_confirmed(shop: Shop):
    await shop.authorize()
    shop.provider.lose_calls = True
    with pytest.raises(PaymentPending):
        await shop.payments.cancel("k", "ord_1", "cancelled")
    shop.provider.lose_calls = False
    await shop.payments.cancel("k", "ord_1", "cancelled")
    assert shop.attempt(Operation.VOID).status is AttemptStatus.SUCCEEDED
    assert shop.events() == ["payment_authorized", "payment_cancelled"]


async def test_other_keys_of_the_reference_are_not_touched_by_a_cancellation(shop: Shop):
    await shop.payments.cancel("first", "ord_1", "cancelled")
    assert (await shop.authorize("second")).status == "authorized"


@pytest.mark.parametrize(
    ("captured", "told"),
    [(1000, ["payment_captured", "refund_succeeded"]), (400, ["payment_captured", "payment_cancelled", "refund_succeeded"])],
)
async def test_cancelling_gives_back_once_what_was_captured_and_gives_up_the_rest(shop: Shop, captured: int, told: list[str]):
    answer = await shop.authorize()
    await shop.payments.capture("c", answer.intent_id, Money(captured, "USD"))
    for _ in range(2):
        assert await shop.payments.cancel("k", "ord_1", "cancelled") == captured
    assert (shop.intent.capturable, shop.intent.refundable, shop.intent.refunded) == (0, 0, captured)
    assert shop.events() == ["payment_authorized", *told]


async def test_cancelling_gives_back_only_what_is_not_back_yet(shop: Shop):
    answer = await shop.authorize()
    await shop.payments.capture("c", answer.intent_id, AMOUNT)
    await shop.payments.refund("r", answer.intent_id, Money(300, "USD"), "broken")
    await shop.payments.cancel("k", "ord_1", "cancelled")
    assert (shop.intent.refunded, shop.intent.refunding) == (1000, 0)
    assert shop.events()[-2:] == ["refund_succeeded", "refund_succeeded"]


@pytest.mark.parametrize("by_hand", [[], [400], [400, 600], [1000]])
async def test_the_rest_is_captured_once_whatever_others_have_captured(shop: Shop, by_hand: list[int]):
    answer = await shop.authorize()
    for amount in by_hand:
        await shop.payments.capture(f"c{amount}", answer.intent_id, Money(amount, "USD"))
    for _ in range(2):
        assert await shop.payments.capture_rest("rest", answer.intent_id) == 1000
    assert shop.intent.status is IntentStatus.CAPTURED


async def test_the_rest_of_a_capture_under_way_is_not_known_yet(shop: Shop):
    answer = await shop.authorize()
    shop.provider.lose_answers = True
    with pytest.raises(PaymentPending):
        await shop.payments.capture("c", answer.intent_id, Money(400, "USD"))
    with pytest.raises(PaymentPending):
        await shop.payments.capture_rest("rest", answer.intent_id)
    await shop.payments.capture("c", answer.intent_id, Money(400, "USD"))
    shop.provider.lose_answers = False
    assert await shop.payments.capture_rest("rest", answer.intent_id) == 1000


async def test_the_rest_that_was_given_up_is_not_captured(shop: Shop):
    answer = await shop.authorize()
    await shop.payments.capture("c", answer.intent_id, Money(400, "USD"))
    await shop.payments.cancel_intent(answer.intent_id, None)
    assert await shop.payments.capture_rest("rest", answer.intent_id) == 400


async def test_the_rest_of_a_payment_that_was_called_off_is_refused(shop: Shop):
    answer = await shop.authorize()
    await shop.payments.cancel("k", "ord_1", "cancelled")
    with pytest.raises(PaymentVoided):
        await shop.payments.capture_rest("rest", answer.intent_id)


async def test_several_captures_take_what_was_authorised_and_no_more(shop: Shop):
    answer = await shop.authorize()
    await shop.payments.capture("c1", answer.intent_id, Money(400, "USD"))
    await shop.payments.capture("c1", answer.intent_id, Money(400, "USD"))
    assert shop.intent.status is IntentStatus.PARTIALLY_CAPTURED
    with pytest.raises(CaptureTooLarge):
        await shop.payments.capture("c2", answer.intent_id, Money(601, "USD"))
    await shop.payments.capture("c3", answer.intent_id, None)
    assert (shop.intent.status, shop.intent.captured) == (IntentStatus.CAPTURED, 1000)
    assert [event.captured for event in shop.kept.events if hasattr(event, "captured")] == [400, 1000]


async def test_a_capture_without_an_answer_is_pending_and_taken_once(shop: Shop):
    answer = await shop.authorize()
    shop.provider.lose_answers = True
    with pytest.raises(PaymentPending):
        await shop.payments.capture("c", answer.intent_id, AMOUNT)
    with pytest.raises(IllegalTransition):
        await shop.payments.cancel("k", "ord_1", "cancelled")
    await shop.payments.capture("c", answer.intent_id, AMOUNT)
    assert shop.provider.calls == ["authorize", "capture", "find"]
    assert shop.intent.captured == 1000


async def test_a_capture_refused_for_good_says_so_every_time(shop: Shop):
    answer = await shop.authorize()
    shop.provider.answer = Outcome(news=News.REFUSED, failure="authorization_expired")
    for _ in range(2):
        with pytest.raises(CaptureRefused) as refused:
            await shop.payments.capture("c", answer.intent_id, AMOUNT)
        assert refused.value.facts == {"failure": "authorization_expired"}
    assert shop.events() == ["payment_authorized", "payment_failed"]
    assert shop.intent.capturable == 1000


async def test_what_is_not_authorised_is_not_captured(shop: Shop):
    shop.provider.answer = REFUSED
    answer = await shop.authorize()
    with pytest.raises(IllegalTransition):
        await shop.payments.capture("c", answer.intent_id, AMOUNT)
    assert shop.events() == ["payment_failed"]


async def test_a_refund_is_given_once_per_key_and_told(shop: Shop):
    answer = await shop.authorize()
    await shop.payments.capture("c", answer.intent_id, AMOUNT)
    refund = await shop.payments.refund("r", answer.intent_id, Money(300, "USD"), "broken")
    assert await shop.payments.refund("r", answer.intent_id, Money(300, "USD"), "broken") == refund
    with pytest.raises(KeyReused):
        await shop.payments.refund("r", answer.intent_id, Money(300, "USD"), "late")
    assert (shop.intent.refunded, shop.intent.refunding) == (300, 0)
    assert shop.events()[-1] == "refund_succeeded"


async def test_a_refund_without_an_answer_is_pending_and_counts_until_it_fails(shop: Shop):
    answer = await shop.authorize()
    await shop.payments.capture("c", answer.intent_id, AMOUNT)
    shop.provider.lose_calls = True
    await shop.payments.refund("r", answer.intent_id, AMOUNT, "broken")
    assert (shop.intent.refunding, shop.intent.refundable) == (1000, 0)
    await shop.hear(shop.attempt(Operation.REFUND), News.REFUSED)
    assert (shop.intent.refunding, shop.intent.refundable) == (0, 1000)
    assert shop.events()[-1] == "refund_failed"


async def test_a_webhook_that_is_delivered_again_changes_nothing(shop: Shop):
    shop.provider.lose_answers = True
    with pytest.raises(PaymentPending):
        await shop.authorize()
    attempt = shop.attempt(Operation.AUTHORIZE)
    for _ in range(3):
        await shop.hear(attempt, News.SUCCEEDED)
    assert shop.events() == ["payment_authorized"]


async def test_webhooks_may_arrive_in_any_order(shop: Shop):
    shop.provider.lose_answers = True
    with pytest.raises(PaymentPending):
        await shop.authorize()
    attempt = shop.attempt(Operation.AUTHORIZE)
    await shop.hear(attempt, News.SUCCEEDED, id="pev_2")
    await shop.hear(attempt, News.REQUIRES_ACTION, id="pev_1")
    await shop.hear(attempt, News.REFUSED, id="pev_0")
    assert shop.intent.status is IntentStatus.AUTHORIZED
    assert shop.events() == ["payment_authorized"]


async def test_an_unsigned_webhook_is_refused(shop: Shop):
    with pytest.raises(SignatureInvalid):
        await shop.clearing.receive(b"{}", "forged")


async def test_the_reconciler_asks_and_finishes_what_nobody_else_did(shop: Shop):
    shop.provider.lose_answers = True
    with pytest.raises(PaymentPending):
        await shop.authorize()
    assert await shop.clearing.reconcile() == 1
    assert shop.provider.calls == ["authorize", "find"]
    assert (await shop.authorize()).status == "authorized"
    assert await shop.clearing.reconcile() == 0
