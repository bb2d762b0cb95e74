"""Who is told what, once: on fakes."""

import pytest

from modules.identity.public import Contact
from modules.notifications.domain.notification import Status
from modules.notifications.domain.ports import Mail, Undeliverable
from modules.notifications.domain.service import Notifier
from modules.notifications.infra.identity import IdentityAdapter
from modules.notifications.infra.orders import OrdersAdapter
from modules.notifications.infra.rendering import TemplateRenderer
from modules.notifications.public import NotificationBounced, NotificationSent
from modules.orders.public import OrderSummary
from tests.notifications.fakes import ADA, BEN, KnownOrders, KnownPeople, Mailbox, MemoryTransact, order


class Office:
    def __init__(self, *contacts: Contact, orders: tuple[OrderSummary, ...] = (), verified: tuple[str, ...] = ()) -> None:
        self.transact = MemoryTransact()
        self.mailbox = Mailbox()
        people, books = IdentityAdapter(KnownPeople(*contacts, verified=verified)), OrdersAdapter(KnownOrders(*orders))
        self.notifier = Notifier(self.transact, people, books, TemplateRenderer(), self.mailbox)

    @property
    def subjects(self) -> list[str]:
        return [mail.content.subject for mail in self.mailbox.mails]

    @property
    def states(self) -> list[Status]:
        return [notification.status for notification in self.transact.notifications.kept.values()]


async def test_who_registers_gets_a_link_in_their_language():
    office = Office(ADA, BEN)
    await office.notifier.verify_address("evt_1", "usr_ben")
    (mail,) = office.mailbox.mails
    assert (mail.email, mail.content.locale) == ("ben@example.org", "de")
    assert "https://shop.example/verify?token=usr_ben-evt_1" in mail.content.text
    assert [type(event) for event in office.transact.events] == [NotificationSent]


async def test_an_event_that_is_handled_again_sends_nothing_again():
    office = Office(ADA)
    for _ in range(3):
        await office.notifier.verify_address("evt_1", "usr_ada")
    assert len(office.mailbox.mails) == 1
    assert len(office.transact.events) == 1


async def test_another_event_is_another_mail():
    office = Office(ADA)
    await office.notifier.verify_address("evt_1", "usr_ada")
    await office.notifier.verify_address("evt_2", "usr_ada")
    assert len({mail.id for mail in office.mailbox.mails}) == 2


async def test_a_failure_is_written_down_raised_and_made_good_by_the_next_try():
    office = Office(ADA)
    office.mailbox.failures = [ConnectionRefusedError()]
    with pytest.raises(ConnectionRefusedError):
        await office.notifier.verify_address("evt_1", "usr_ada")
    assert (office.states, office.transact.notifications.failures) == ([Status.SENDING], ["ConnectionRefusedError"])
    await office.notifier.verify_address("evt_1", "usr_ada")
    assert office.states == [Status.SENT]


async def test_what_may_have_left_already_is_repeated_under_the_same_id():
    office = Office(ADA)
    office.mailbox.after_sending = [TimeoutError()]
    with pytest.raises(TimeoutError):
        await office.notifier.verify_address("evt_1", "usr_ada")
    await office.notifier.verify_address("evt_1", "usr_ada")
    first, second = office.mailbox.mails
    assert first.id == second.id


async def test_what_is_refused_for_good_has_bounced_and_is_not_tried_again():
    office = Office(ADA)
    office.mailbox.failures = [Undeliverable("no such mailbox")]
    for _ in range(2):
        await office.notifier.verify_address("evt_1", "usr_ada")
    assert (office.states, office.mailbox.mails) == ([Status.BOUNCED], [])
    assert [type(event) for event in office.transact.events] == [NotificationBounced]


async def test_somebody_who_is_gone_or_verified_meanwhile_gets_no_link():
    office = Office(ADA, verified=("usr_ada",))
    await office.notifier.verify_address("evt_1", "usr_ada")
    await office.notifier.verify_address("evt_2", "usr_gone")
    assert office.mailbox.mails == []


async def test_a_repeated_registration_warns_the_owner_of_a_verified_account():
    office = Office(ADA, verified=("usr_ada",))
    await office.notifier.registration_repeated("evt_1", "usr_ada", verified=True)
    assert office.subjects == ["You already have an account"]


async def test_a_repeated_registration_sends_another_link_where_the_first_was_not_followed():
    office = Office(ADA)
    await office.notifier.registration_repeated("evt_1", "usr_ada", verified=False)
    assert office.subjects == ["Confirm your e-mail address"]


async def test_a_paid_order_is_confirmed_to_its_buyer():
    office = Office(ADA, orders=(order(user_id="usr_ada"),))
    await office.notifier.order_paid("evt_1", "ord_1")
    assert (office.subjects, office.mailbox.mails[0].email) == (["Your order 100001"], "ada@example.org")


async def test_a_guest_is_reached_at_the_address_of_the_order_which_is_kept_nowhere():
    office = Office(orders=(order(guest_email="guest@example.org"),))
    await office.notifier.order_paid("evt_1", "ord_1")
    assert office.mailbox.mails[0].email == "guest@example.org"
    (kept,) = office.transact.notifications.kept.values()
    assert kept.recipient == "guest:ord_1"
    assert "guest@example.org" not in repr(kept)


async def test_a_cancelled_order_is_told_and_an_unknown_one_is_not():
    office = Office(ADA, orders=(order(user_id="usr_ada"),))
    await office.notifier.order_cancelled("evt_1", "ord_1")
    await office.notifier.order_cancelled("evt_2", "ord_unknown")
    assert office.subjects == ["Your order 100001 was cancelled"]


async def test_who_cannot_be_written_to_is_told_nothing():
    office = Office(orders=(order(), order("ord_2", user_id="usr_gone")))
    await office.notifier.order_paid("evt_1", "ord_1")
    await office.notifier.order_paid("evt_2", "ord_2")
    await office.notifier.registration_repeated("evt_3", "usr_gone", verified=True)
    assert office.mailbox.mails == []
    assert office.transact.notifications.kept == {}


async def test_who_is_overtaken_while_sending_tells_nothing_a_second_time(monkeypatch: pytest.MonkeyPatch):
    """Its claim had run out, and another worker has sent the same mail under the same id."""
    office = Office(ADA)
    send = office.mailbox.send

    async def overtaken(mail: Mail) -> None:
        await send(mail)
        (notification,) = office.transact.notifications.kept.values()
        await office.transact.notifications.end(notification, Status.SENT)

    monkeypatch.setattr(office.mailbox, "send", overtaken)
    await office.notifier.verify_address("evt_1", "usr_ada")
    assert (office.states, office.transact.events) == ([Status.SENT], [])
