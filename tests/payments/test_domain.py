"""The rules of payments, without a database: state machines, settlement, and books that always balance."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.payments.domain import ledger, settlement
from modules.payments.domain.attempt import OPEN, PROGRESS, Attempt, AttemptStatus, News, Operation, Outcome
from modules.payments.domain.errors import AmountNotPositive, CaptureTooLarge, RefundTooLarge
from modules.payments.domain.intent import MOVES, Intent, IntentStatus, Step
from modules.payments.public import PaymentAuthorized, PaymentCancelled, PaymentCaptured, PaymentFailed, RefundFailed, RefundSucceeded
from shared.domain.errors import IllegalTransition
from shared.domain.money import CurrencyMismatch, Money

AMOUNT = Money(1000, "USD")
SUCCEEDED, REFUSED = Outcome(news=News.SUCCEEDED), Outcome(news=News.REFUSED, failure="insufficient_funds")


def intent(status: IntentStatus = IntentStatus.AUTHORIZED, *, authorized: int = 1000, captured: int = 0) -> Intent:
    return Intent("pin_1", "ord_1", AMOUNT, status, "att_1", authorized, captured=captured)


def attempt(operation: Operation, amount: Money = AMOUNT, status: AttemptStatus = AttemptStatus.PENDING) -> Attempt:
    reason = "broken" if operation is Operation.REFUND else None
    return Attempt("att_1", "pin_1", operation, amount, reason=reason, status=status)


def take(payment: Intent, step: Step) -> None:
    """Do to `payment` what `step` names, with amounts that would fit."""
    one = Money(1, "USD")
    match step:
        case Step.CONFIRM:
            payment.confirm("att_2")
        case Step.CHALLENGE:
            payment.challenge("https://issuer.example")
        case Step.APPROVE:
            payment.approve()
        case Step.DECLINE:
            payment.decline("insufficient_funds")
        case Step.CAPTURE_PART:
            payment.begin_capture(one)
            payment.end_capture(one, taken=True)
        case Step.CAPTURE_REST:
            rest = Money(payment.capturable, "USD")
            payment.begin_capture(rest)
            payment.end_capture(rest, taken=True)
        case Step.REFUND:
            payment.begin_refund(one)
        case Step.CANCEL:
            payment.cancel()


def fitting(status: IntentStatus) -> Intent:
    match status:
        case IntentStatus.AUTHORIZED:
            return intent(status)
        case IntentStatus.PARTIALLY_CAPTURED:
            return intent(status, captured=400)
        case IntentStatus.CAPTURED:
            return intent(status, captured=1000)
        case _:
            return intent(status, authorized=0)


@pytest.mark.parametrize(("status", "step"), [pair for pair in product(IntentStatus, Step) if pair in MOVES])
def test_every_legal_step_leads_where_the_table_says(status: IntentStatus, step: Step):
    payment = fitting(status)
    take(payment, step)
    assert payment.status is MOVES[status, step]
    assert payment.version > 1


@pytest.mark.parametrize(("status", "step"), [pair for pair in product(IntentStatus, Step) if pair not in MOVES])
def test_every_illegal_step_is_refused_and_changes_nothing(status: IntentStatus, step: Step):
    payment, untouched = fitting(status), fitting(status)
    with pytest.raises(IllegalTransition):
        take(payment, step)
    assert payment == untouched


def test_captures_never_exceed_what_is_authorised_counting_those_under_way():
    payment = intent()
    payment.begin_capture(Money(700, "USD"))
    with pytest.raises(CaptureTooLarge) as refused:
        payment.begin_capture(Money(301, "USD"))
    assert refused.value.facts == {"capturable": Money(300, "USD")}
    payment.begin_capture(Money(300, "USD"))


def test_a_refused_capture_gives_its_part_back():
    payment = intent()
    payment.begin_capture(AMOUNT)
    payment.end_capture(AMOUNT, taken=False)
    assert (payment.status, payment.capturable) == (IntentStatus.AUTHORIZED, 1000)


def test_a_payment_with_a_capture_under_way_is_not_cancelled():
    payment = intent()
    payment.begin_capture(Money(1, "USD"))
    with pytest.raises(IllegalTransition):
        payment.cancel()


def test_refunds_never_exceed_what_was_captured_counting_those_that_have_not_failed():
    payment = intent(IntentStatus.CAPTURED, captured=1000)
    payment.begin_refund(Money(600, "USD"))
    with pytest.raises(RefundTooLarge) as refused:
        payment.begin_refund(Money(401, "USD"))
    assert refused.value.facts == {"refundable": Money(400, "USD")}
    payment.end_refund(Money(600, "USD"), given=False)
    payment.begin_refund(Money(1000, "USD"))


@pytest.mark.parametrize("amount", [0, -1])
def test_only_positive_amounts_move(amount: int):
    with pytest.raises(AmountNotPositive):
        intent().begin_capture(Money(amount, "USD"))
    with pytest.raises(AmountNotPositive):
        intent(IntentStatus.CAPTURED, captured=1000).begin_refund(Money(amount, "USD"))


def test_a_payment_has_one_currency():
    with pytest.raises(CurrencyMismatch):
        intent().begin_capture(Money(1, "EUR"))


@pytest.mark.parametrize(("status", "news"), list(product(AttemptStatus, News)))
def test_news_changes_an_attempt_only_as_the_table_says(status: AttemptStatus, news: News):
    operation = Operation.AUTHORIZE if news is News.REQUIRES_ACTION else Operation.REFUND
    heard = attempt(operation, status=status)
    assert heard.hear(Outcome(news=news)) is ((status, news) in PROGRESS)
    assert heard.status is PROGRESS.get((status, news), status)


def test_a_decided_attempt_is_changed_by_nothing_but_a_reversal():
    late = {(status, news) for status, news in PROGRESS if status not in OPEN}
    assert late == {(AttemptStatus.SUCCEEDED, News.REVERSED)}


@pytest.mark.parametrize(("operation", "news"), [(Operation.CAPTURE, News.REQUIRES_ACTION), (Operation.AUTHORIZE, News.REVERSED)])
def test_news_that_makes_no_sense_for_the_operation_is_ignored(operation: Operation, news: News):
    heard = attempt(operation, status=AttemptStatus.SUCCEEDED if news is News.REVERSED else AttemptStatus.PENDING)
    assert heard.hear(Outcome(news=news)) is False


def test_an_approval_authorises_books_the_hold_and_is_told():
    payment = intent(IntentStatus.PROCESSING, authorized=0)
    effects = settlement.settle(payment, attempt(Operation.AUTHORIZE), SUCCEEDED)
    assert effects is not None
    assert (payment.status, payment.authorized) == (IntentStatus.AUTHORIZED, 1000)
    assert [type(event) for event in effects.events] == [PaymentAuthorized]
    assert [booking.kind for booking in effects.bookings] == ["authorized"]


def test_a_decline_keeps_the_code_and_books_nothing():
    payment = intent(IntentStatus.PROCESSING, authorized=0)
    effects = settlement.settle(payment, attempt(Operation.AUTHORIZE), REFUSED)
    assert effects is not None
    assert (payment.status, payment.decline_code) == (IntentStatus.DECLINED, "insufficient_funds")
    assert [type(event) for event in effects.events] == [PaymentFailed]
    assert effects.bookings == []


def test_the_second_messenger_of_the_same_news_changes_nothing():
    payment, heard = intent(IntentStatus.PROCESSING, authorized=0), attempt(Operation.AUTHORIZE)
    settlement.settle(payment, heard, SUCCEEDED)
    version = payment.version
    assert settlement.settle(payment, heard, SUCCEEDED) is None
    assert settlement.settle(payment, heard, REFUSED) is None
    assert payment.version == version


def test_an_approval_that_comes_after_the_cancellation_authorises_nothing():
    payment, heard = intent(IntentStatus.PROCESSING, authorized=0), attempt(Operation.AUTHORIZE)
    void, _ = settlement.cancel(payment)
    effects = settlement.settle(payment, heard, SUCCEEDED)
    assert void is not None
    assert effects == settlement.Effects()
    assert payment.status is IntentStatus.CANCELLED


def test_cancelling_what_no_provider_knows_calls_no_provider():
    void, effects = settlement.cancel(intent(IntentStatus.CREATED, authorized=0))
    assert void is None
    assert [type(event) for event in effects.events] == [PaymentCancelled]
    assert effects.bookings == []


def test_cancelling_after_a_part_was_captured_releases_the_rest():
    payment = intent(IntentStatus.PARTIALLY_CAPTURED, captured=400)
    void, effects = settlement.cancel(payment)
    assert void is not None
    assert void.amount == Money(600, "USD")
    assert (payment.status, payment.authorized, payment.capturable) == (IntentStatus.CAPTURED, 400, 0)
    assert [booking.kind for booking in effects.bookings] == ["released"]


def test_a_capture_turns_the_hold_into_money():
    payment = intent()
    payment.begin_capture(AMOUNT)
    effects = settlement.settle(payment, attempt(Operation.CAPTURE), SUCCEEDED)
    assert effects is not None
    assert [type(event) for event in effects.events] == [PaymentCaptured]
    assert {(p.account, p.debit - p.credit) for p in effects.bookings[0].postings} == {
        (ledger.PROVIDER, 1000),
        (ledger.CUSTOMERS, -1000),
        (ledger.HOLDS, -1000),
        (ledger.HOLDS_OFFSET, 1000),
    }


def test_a_refund_that_comes_back_is_reversed_in_the_books_and_may_be_made_again():
    payment = intent(IntentStatus.CAPTURED, captured=1000)
    payment.begin_refund(AMOUNT)
    refund = attempt(Operation.REFUND)
    booked = settlement.settle(payment, refund, SUCCEEDED)
    undone = settlement.settle(payment, refund, Outcome(news=News.REVERSED, failure="account_closed"))
    assert booked is not None
    assert undone is not None
    assert [type(event) for event in (*booked.events, *undone.events)] == [RefundSucceeded, RefundFailed]
    assert undone.bookings[0].reverses == booked.bookings[0].kind
    assert balances([*booked.bookings, *undone.bookings]) == {}
    assert payment.refundable == 1000


def test_a_refund_that_is_refused_at_once_was_never_booked():
    payment = intent(IntentStatus.CAPTURED, captured=1000)
    payment.begin_refund(AMOUNT)
    effects = settlement.settle(payment, attempt(Operation.REFUND), REFUSED)
    assert effects is not None
    assert effects.bookings == []
    assert payment.refundable == 1000


def balances(bookings: list[ledger.Transaction]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for booking in bookings:
        for posting in booking.postings:
            sums[posting.account] = sums.get(posting.account, 0) + posting.debit - posting.credit
    return {account: balance for account, balance in sums.items() if balance}


CURRENCIES = st.sampled_from(["JPY", "USD", "KWD"])
MOVEMENTS = st.lists(st.tuples(st.sampled_from(["capture", "refuse", "refund", "return"]), st.integers(1, 2000)), max_size=12)


@given(currency=CURRENCIES, amount=st.integers(1, 10**12), movements=MOVEMENTS, give_up=st.booleans())
def test_whatever_happens_to_a_payment_its_books_balance_and_say_what_it_says(
    currency: str, amount: int, movements: list[tuple[str, int]], give_up: bool
):
    payment = Intent("pin_1", "ord_1", Money(amount, currency))
    payment.confirm("att_1")
    books = settled(payment, attempt(Operation.AUTHORIZE, Money(amount, currency)), SUCCEEDED)
    for movement, part in movements:
        books += move(payment, movement, Money(part, currency))
    if give_up and payment.status is not IntentStatus.CAPTURED:
        books += settlement.cancel(payment)[1].bookings
    assert all(booking.balanced() for booking in books)
    assert balances(books) == {
        account: balance
        for account, balance in {
            ledger.PROVIDER: payment.captured - payment.refunded,
            ledger.CUSTOMERS: payment.refunded - payment.captured,
            ledger.HOLDS: payment.capturable,
            ledger.HOLDS_OFFSET: -payment.capturable,
        }.items()
        if balance
    }


def move(payment: Intent, movement: str, part: Money) -> list[ledger.Transaction]:
    if movement in ("capture", "refuse") and 0 < part.amount <= payment.capturable:
        payment.begin_capture(part)
        return settled(payment, attempt(Operation.CAPTURE, part), SUCCEEDED if movement == "capture" else REFUSED)
    if movement in ("refund", "return") and 0 < part.amount <= payment.refundable:
        payment.begin_refund(part)
        refund = attempt(Operation.REFUND, part)
        booked = settled(payment, refund, SUCCEEDED)
        return booked + (settled(payment, refund, Outcome(news=News.REVERSED)) if movement == "return" else [])
    return []


def settled(payment: Intent, tried: Attempt, outcome: Outcome) -> list[ledger.Transaction]:
    effects = settlement.settle(payment, tried, outcome)
    assert effects is not None
    return effects.bookings


@given(entries=st.lists(st.tuples(CURRENCIES, st.integers(1, 10**9)), min_size=1, max_size=5))
def test_a_reversal_undoes_its_transaction_to_the_last_unit(entries: list[tuple[str, int]]):
    postings = tuple(
        posting
        for currency, amount in entries
        for posting in (ledger.Posting("a", currency, amount, 0), ledger.Posting("b", currency, 0, amount))
    )
    original = ledger.Transaction("ltx_1", "attempt", "att_1", "captured", postings)
    undone = ledger.reversal(original, kind="capture_reversed")
    assert undone.balanced()
    assert balances([original, undone]) == {}


def test_a_transaction_with_one_leg_or_two_that_differ_is_out_of_balance():
    debit, credit = ledger.Posting("a", "USD", 100, 0), ledger.Posting("b", "USD", 0, 99)
    assert not ledger.Transaction("ltx_1", "attempt", "att_1", "captured", (debit,)).balanced()
    assert not ledger.Transaction("ltx_1", "attempt", "att_1", "captured", (debit, credit)).balanced()


def test_every_account_that_is_posted_to_is_in_the_chart():
    everything = (ledger.authorized, ledger.released, ledger.captured, ledger.refunded, ledger.refund_reversed)
    posted = {posting.account for book in everything for posting in book(attempt(Operation.CAPTURE)).postings}
    assert posted == set(ledger.ACCOUNTS)


@pytest.mark.parametrize("operation", Operation)
def test_that_it_is_under_way_is_news_of_nothing_else(operation: Operation):
    payment = intent(IntentStatus.PROCESSING, authorized=0)
    version, heard = payment.version, attempt(operation)
    assert settlement.settle(payment, heard, Outcome(news=News.PROCESSING)) == settlement.Effects()
    assert (heard.status, payment.version) == (AttemptStatus.UNKNOWN, version)
