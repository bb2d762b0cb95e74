"""Payments on Postgres with the test provider: one effect under real concurrency, few statements, books that balance."""

import asyncio
from datetime import timedelta

import pytest

from modules.payments.domain.attempt import Attempt, News, Operation, Outcome
from modules.payments.domain.clearing import Clearing
from modules.payments.domain.errors import CaptureTooLarge, RefundTooLarge, SignatureInvalid
from modules.payments.domain.ports import Notice, Work
from modules.payments.infra.test_webhooks import SignedNotices
from modules.payments.public import CaptureRefused, PaymentPending, PaymentVoided
from shared.domain.clock import SystemClock
from shared.domain.context import current
from shared.domain.errors import IllegalTransition
from shared.domain.guard import OutboundInTransaction
from shared.domain.ids import new_id
from shared.domain.money import Money
from shared.domain.page import PageRequest
from shared.infra.worker import Worker
from tests.chassis.waiting import until
from tests.payments.till import AMOUNT, Till


async def test_fifty_parallel_authorisations_of_one_key_have_one_effect(till: Till):
    answers = await asyncio.gather(*(till.insist("pm_card_ok", tries=200) for _ in range(50)))
    assert len({answer.intent_id for answer in answers}) == 1
    assert await till.count("select count(*) from payment_intent") == 1
    assert await till.count("select count(*) from test_provider_ledger") == 1
    assert await till.events() == ["payment_authorized"]
    assert await till.balances() == {"authorizations": 1000, "authorizations_offset": 1000}


async def test_fifty_parallel_captures_of_one_key_take_the_money_once(till: Till):
    intent_id = (await till.authorize()).intent_id

    async def capture() -> None:
        for _ in range(200):
            try:
                await till.facade.capture("c", intent_id, AMOUNT)
            except PaymentPending:
                continue
            return
        raise AssertionError("still pending")

    await asyncio.gather(*(capture() for _ in range(50)))
    assert await till.count("select captured from payment_intent") == 1000
    assert await till.count("select count(*) from test_provider_ledger where operation = 'capture'") == 1
    assert await till.events() == ["payment_authorized", "payment_captured"]


async def test_parallel_captures_with_keys_of_their_own_never_exceed_what_is_authorised(till: Till):
    intent_id = (await till.authorize()).intent_id
    part = Money(300, "USD")
    results = await asyncio.gather(*(till.facade.capture(f"c{n}", intent_id, part) for n in range(10)), return_exceptions=True)
    refused = [result for result in results if result is not None]
    assert [type(result) for result in refused] == [CaptureTooLarge] * 7
    assert await till.count("select captured from payment_intent") == 900


async def test_parallel_refunds_never_exceed_what_was_captured(till: Till):
    intent_id = await till.captured()
    part = Money(300, "USD")
    results = await asyncio.gather(*(till.facade.refund(f"r{n}", intent_id, part, "broken") for n in range(10)), return_exceptions=True)
    assert sum(isinstance(result, RefundTooLarge) for result in results) == 7
    assert await till.count("select refunded from payment_intent") == 900
    assert (await till.balances())["customer_payments"] == 100


async def test_authorising_and_capturing_cost_few_statements(till: Till):
    await till.authorize(key="warm")
    before = current().sql_count
    intent_id = (await till.authorize()).intent_id
    authorized = current().sql_count
    await till.facade.capture("c", intent_id, AMOUNT)
    assert authorized - before <= 5
    assert current().sql_count - authorized <= 6


async def test_who_waits_for_an_intent_then_sees_the_attempt_that_was_made_meanwhile(till: Till):
    """Its statement began before the attempt was there, and locks only the intent."""
    intent_id = (await till.authorize()).intent_id
    transact, is_locked, may_end = till.container.transact(), asyncio.Event(), asyncio.Event()

    async def first(work: Work) -> None:
        intent, _ = await work.payments.lock(intent_id, Operation.CAPTURE, "c")
        await work.payments.save(intent, Attempt(new_id("att"), intent_id, Operation.CAPTURE, AMOUNT, key="c"))
        is_locked.set()
        await may_end.wait()

    async def second(work: Work) -> Attempt | None:
        return (await work.payments.lock(intent_id, Operation.CAPTURE, "c"))[1]

    one = asyncio.create_task(transact(first))
    await is_locked.wait()
    two = asyncio.create_task(transact(second))
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    await until(lambda: till.count(waiting))
    may_end.set()
    await one
    known = await two
    assert known is not None
    assert known.intent_id == intent_id


async def test_a_decline_carries_its_code(till: Till):
    answer = await till.authorize("pm_card_declined")
    assert (answer.status, answer.decline_code) == ("declined", "insufficient_funds")
    assert await till.events() == ["payment_failed"]
    assert await till.balances() == {}


async def test_an_unknown_card_is_declined(till: Till):
    assert (await till.authorize("pm_stolen")).decline_code == "unknown_payment_method"


async def test_an_accepted_call_whose_answer_is_lost_is_found_by_its_key(till: Till):
    with pytest.raises(PaymentPending):
        await till.authorize("pm_card_timeout")
    assert await till.count("select status from attempt") == "unknown"
    assert (await till.authorize("pm_card_timeout")).status == "authorized"
    assert await till.count("select calls from test_provider_ledger") == 1


async def test_a_server_error_is_unknown_and_the_next_call_sends_again(till: Till):
    with pytest.raises(PaymentPending):
        await till.authorize("pm_card_error_once")
    assert (await till.authorize("pm_card_error_once")).status == "authorized"
    assert await till.count("select count(*) from test_provider_ledger") == 1


async def test_a_provider_that_only_fails_leaves_the_payment_pending(till: Till):
    for _ in range(3):
        with pytest.raises(PaymentPending):
            await till.authorize("pm_card_error")
    assert await till.events() == []


async def test_a_late_outcome_arrives_by_webhook(till: Till, worker: Worker):
    with pytest.raises(PaymentPending):
        await till.authorize("pm_card_late_webhook")
    with pytest.raises(PaymentPending):
        await till.authorize("pm_card_late_webhook")
    await till.admin.execute("update task set due_at = now()")
    await worker.drain()
    assert (await till.authorize("pm_card_late_webhook")).status == "authorized"
    assert await till.events() == ["payment_authorized"]
    assert await till.count("select count(*) from inbox") == 1


@pytest.mark.parametrize(("approve", "status"), [(True, "authorized"), (False, "declined")])
async def test_the_issuers_question_is_answered_by_the_customer(till: Till, worker: Worker, approve: bool, status: str):
    asked = await till.authorize("pm_card_3ds")
    attempt_id = await till.count("select id from attempt")
    assert asked.status == "requires_action"
    assert asked.action_url == f"https://shop.example/v1/test_provider/authorizations/{attempt_id}/complete"
    await till.container.provider().answer_challenge(attempt_id, approve=approve)
    await worker.drain()
    assert (await till.authorize("pm_card_3ds")).status == status
    assert await till.events() == ["payment_requires_action", "payment_authorized" if approve else "payment_failed"]


async def test_a_cancellation_that_overtakes_its_authorisation_leaves_a_tombstone(till: Till):
    await till.facade.cancel("k", "ord_1", "cancelled")
    await till.facade.cancel("k", "ord_1", "cancelled")
    with pytest.raises(PaymentVoided):
        await till.authorize()
    assert await till.count("select count(*) from payment_intent") == 0
    assert await till.count("select count(*) from test_provider_ledger") == 0


async def test_racing_authorisations_and_cancellations_of_one_key_end_with_nothing_held(till: Till):
    for n in range(15):
        key = f"k{n}"
        await asyncio.gather(till.facade.cancel(key, "ord_1", "cancelled"), till.authorize(key=key), return_exceptions=True)
        await till.facade.cancel(key, "ord_1", "cancelled")
    assert await till.count("select count(*) from payment_intent where status <> 'cancelled'") == 0
    assert await till.count("select count(*) from attempt where operation = 'void' and status <> 'succeeded'") == 0
    held_at_provider = """
        select count(*) from test_provider_ledger a where operation = 'authorize' and news = 'succeeded'
        and not exists (select from test_provider_ledger v where v.authorization_key = a.key and v.operation = 'void')
    """
    assert await till.count(held_at_provider) == 0
    assert all(balance == 0 for balance in (await till.balances()).values())


async def test_an_authorisation_that_reaches_the_provider_after_its_cancellation_is_refused_there(till: Till):
    with pytest.raises(PaymentPending):
        await till.authorize("pm_card_error_once")
    await till.facade.cancel("k", "ord_1", "cancelled")
    provider, attempt = till.container.provider(), await till.admin.fetchrow("select id from attempt where operation = 'authorize'")
    assert attempt is not None
    assert await provider.find(attempt["id"]) == Outcome(news=News.REFUSED, failure="cancelled")


async def test_captures_in_parts_and_the_release_of_the_rest_leave_books_that_say_so(till: Till):
    intent_id = (await till.authorize()).intent_id
    await till.facade.capture("c1", intent_id, Money(400, "USD"))
    await till.container.desk().cancel(intent_id, None)
    assert await till.balances() == {"authorizations": 0, "authorizations_offset": 0, "customer_payments": 400, "provider_receivable": 400}
    assert await till.events() == ["payment_authorized", "payment_captured", "payment_cancelled"]


async def test_a_capture_refused_for_good_gives_the_hold_back_to_whoever_cancels(till: Till):
    intent_id = (await till.authorize("pm_card_capture_refused")).intent_id
    for _ in range(2):
        with pytest.raises(CaptureRefused):
            await till.facade.capture("c", intent_id, AMOUNT)
    await till.facade.cancel("k", "ord_1", "cancelled")
    assert await till.events() == ["payment_authorized", "payment_failed", "payment_cancelled"]


async def test_a_capture_whose_answer_is_lost_is_taken_once(till: Till):
    intent_id = (await till.authorize("pm_card_capture_timeout")).intent_id
    with pytest.raises(PaymentPending):
        await till.facade.capture("c", intent_id, AMOUNT)
    await till.facade.capture("c", intent_id, AMOUNT)
    assert await till.count("select sum(amount) from test_provider_ledger where operation = 'capture'") == 1000
    assert (await till.balances())["provider_receivable"] == 1000


async def test_a_refund_that_the_provider_takes_back_is_reversed_in_the_books(till: Till, worker: Worker):
    intent_id = await till.captured("pm_card_refund_returned")
    refund_id = await till.facade.refund("r", intent_id, AMOUNT, "broken")
    assert (await till.balances())["customer_payments"] == 0
    await till.admin.execute("update task set due_at = now()")
    await worker.drain()
    assert (await till.balances())["customer_payments"] == 1000
    page = await till.container.ledger().transactions(PageRequest(), refund_id)
    reversal, refunded = page.items
    assert (reversal.kind, reversal.reverses) == ("refund_reversed", refunded.id)
    assert (await till.events())[-2:] == ["refund_succeeded", "refund_failed"]


async def test_a_refused_refund_was_never_in_the_books(till: Till):
    intent_id = await till.captured("pm_card_refund_refused")
    refund = await till.container.desk().read_refund(await till.facade.refund("r", intent_id, AMOUNT, "broken"))
    assert (refund.status, refund.failure) == ("failed", "account_closed")
    assert (await till.balances())["customer_payments"] == 1000


async def test_noting_that_a_refund_is_undecided_changes_nothing_of_what_its_etag_stands_for(till: Till):
    refund_id = await till.facade.refund("r", await till.captured(), AMOUNT, "broken")
    await till.container.database().fetch("update attempt set status = 'pending' where id = $1", refund_id)
    desk, transact = till.container.desk(), till.container.transact()
    before = await desk.read_refund(refund_id)
    await transact(lambda work: work.payments.mark_unknown(refund_id))
    assert await till.count("select count(*) from attempt where status = 'unknown'") == 1
    assert await desk.read_refund(refund_id) == before


async def test_an_attempt_left_by_a_dead_process_is_reconciled_after_two_minutes_and_not_before(till: Till):
    with pytest.raises(PaymentPending):
        await till.authorize("pm_card_timeout")
    clearing: Clearing = till.container.clearing()
    assert await clearing.reconcile() == 0
    await till.admin.execute("update attempt set status = 'pending', claimed_until = now() - interval '121 seconds'")
    assert await clearing.reconcile() == 1
    assert (await till.authorize("pm_card_timeout")).status == "authorized"


async def test_several_reconcilers_share_the_work_and_ask_once_each(till: Till):
    for n in range(12):
        with pytest.raises(PaymentPending):
            await till.authorize("pm_card_timeout", key=f"k{n}")
    await till.admin.execute("update attempt set claimed_until = now() - interval '3 minutes'")
    clearing: Clearing = till.container.clearing()
    looked_at = await asyncio.gather(*(clearing.reconcile() for _ in range(4)))
    assert sum(looked_at) == 12
    assert await till.count("select count(*) from payment_intent where status = 'authorized'") == 12
    assert (await till.events()).count("payment_authorized") == 12


async def test_the_webhook_and_the_caller_both_finish_and_one_of_them_is_told(till: Till):
    with pytest.raises(PaymentPending):
        await till.authorize("pm_card_timeout")
    attempt_id = await till.count("select id from attempt")
    notices: SignedNotices = till.container.notices()
    notice = Notice(id="pev_1", attempt_id=attempt_id, outcome=Outcome(news=News.SUCCEEDED))
    signed = notices.write(notice, SystemClock().now())
    clearing: Clearing = till.container.clearing()
    callers = (till.authorize("pm_card_timeout"), *(clearing.receive(*signed) for _ in range(10)))
    answer, *_ = await asyncio.gather(*callers)
    assert answer is not None
    assert answer.status == "authorized"
    assert await till.events() == ["payment_authorized"]


async def test_an_old_or_altered_signature_is_refused(till: Till):
    notices: SignedNotices = till.container.notices()
    notice = Notice(id="pev_1", attempt_id="att_1", outcome=Outcome(news=News.SUCCEEDED))
    now = SystemClock().now()
    body, signature = notices.write(notice, now)
    assert notices.read(body, signature, now) == notice
    for altered, mark, moment in (
        (body + b" ", signature, now),
        (body, signature[:-1] + ("0" if signature[-1] != "0" else "1"), now),
        (body, signature, now + timedelta(minutes=6)),
        (body, signature, now - timedelta(minutes=6)),
        (body, "", now),
        (body, signature + "\n", now),
    ):
        with pytest.raises(SignatureInvalid):
            notices.read(altered, mark, moment)


async def test_the_facade_is_not_called_inside_a_transaction(till: Till):
    with pytest.raises(OutboundInTransaction):
        await till.container.transact()(lambda work: till.authorize())


async def test_an_illegal_step_leaves_no_event(till: Till):
    intent_id = await till.captured()
    before = await till.events()
    with pytest.raises(IllegalTransition):
        await till.container.desk().cancel(intent_id, None)
    with pytest.raises(IllegalTransition):
        await till.facade.capture("c2", intent_id, AMOUNT)
    assert await till.events() == before
