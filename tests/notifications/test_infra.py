"""Notifications on Postgres and over SMTP: from a neighbour's event to a message on the wire, once."""

import asyncio
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from traceback import format_exception

import pytest

from modules.identity.public import RegistrationRepeated, UserRegistered
from modules.notifications.container import NotificationsContainer
from modules.notifications.domain.ports import Content, Mail, Undeliverable
from modules.notifications.infra.mail import Composer, SmtpMailer, TryLater
from modules.orders.public import OrderCancelled, OrderPaid
from shared.domain.clock import SystemClock
from shared.domain.events import Event
from shared.domain.page import PageRequest
from shared.infra.db.connections import Connection
from shared.infra.db.database import Database
from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.worker import Worker
from shared.module import Module
from tests.notifications.fakes import mail_server

CONTENT = Content(locale="en", subject="Grüße", text="Hello\n.\nwith a dot", html="<p>Hello</p>")
MAIL = Mail(id="ntf_1", email="ada@example.org", name="Ada Ö", content=CONTENT)


@pytest.fixture
def composer() -> Composer:
    return Composer("Tenon <shop@shop.example>", SystemClock())


def read(path: Path) -> EmailMessage:
    return message_from_bytes(path.read_bytes(), policy=default)


async def publish(container: NotificationsContainer, module: str, event: Event) -> None:
    """Have a neighbour's log carry `event`, as its own transaction would."""
    transact: Transact[UnitOfWork] = Transact(Database(container.shared.connections(), module), _plain, events=[type(event)])

    async def record(uow: UnitOfWork) -> None:
        uow.record(event, version=1)

    await transact(record)


def _plain(uow: UnitOfWork) -> UnitOfWork:
    return uow


@pytest.fixture
def worker(notifications: NotificationsContainer) -> Worker:
    shared = notifications.shared
    publishers = [Module(name=name, database=Database(shared.connections(), name), work=_plain) for name in ("identity", "orders")]
    return Worker([*publishers, notifications.module()])


@pytest.mark.parametrize(
    ("module", "event", "to", "subject"),
    [
        ("identity", UserRegistered(user_id="usr_ben"), "ben@example.org", "Bitte bestätigen Sie Ihre E-Mail-Adresse"),
        ("identity", RegistrationRepeated(user_id="usr_ada", verified=True), "ada@example.org", "You already have an account"),
        ("orders", OrderPaid(order_id="ord_1", amount=1, currency="USD"), "ada@example.org", "Your order 100001"),
        ("orders", OrderPaid(order_id="ord_2", amount=1, currency="USD"), "guest@example.org", "Your order 100001"),
        ("orders", OrderCancelled(order_id="ord_1", cause="requested"), "ada@example.org", "Your order 100001 was cancelled"),
    ],
)
async def test_what_happens_elsewhere_becomes_a_mail(
    notifications: NotificationsContainer, worker: Worker, outbox: Path, module: str, event: Event, to: str, subject: str
):
    await publish(notifications, module, event)
    await worker.drain()
    (path,) = outbox.glob("*.eml")
    message = read(path)
    assert (message["To"].addresses[0].addr_spec, message["Subject"]) == (to, subject)
    assert message["Message-ID"] == f"<{path.stem}@shop.example>"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert list(outbox.glob(".*")) == []


async def test_a_task_that_runs_again_sends_no_second_mail(
    notifications: NotificationsContainer, worker: Worker, outbox: Path, admin: Connection
):
    await publish(notifications, "identity", UserRegistered(user_id="usr_ada"))
    await worker.drain()
    before = [path.read_bytes() for path in outbox.glob("*.eml")]
    await admin.execute("update task set state = 'ready', ended_at = null")
    await worker.drain()
    assert [path.read_bytes() for path in outbox.glob("*.eml")] == before
    assert await admin.fetchval("select count(*) from event where type = 'notifications.notification_sent'") == 1


async def test_twenty_handlers_of_one_event_at_once_write_one_row_and_one_event(notifications: NotificationsContainer, admin: Connection):
    notifier = notifications.notifier()
    await asyncio.gather(*(notifier.verify_address("evt_1", "usr_ada") for _ in range(20)))
    assert await admin.fetchval("select count(*) from notification") == 1
    assert await admin.fetchval("select count(*) from event") == 1


async def test_no_address_is_stored_anywhere(notifications: NotificationsContainer, worker: Worker, admin: Connection):
    await publish(notifications, "orders", OrderPaid(order_id="ord_2", amount=1, currency="USD"))
    await worker.drain()
    for table in ("notification", "task", "event"):
        assert await admin.fetchval(f"select count(*) from {table} t where t::text like '%example.org%'") == 0


async def test_the_list_is_walked_by_keyset_and_by_what_it_is_about(notifications: NotificationsContainer):
    for n in range(3):
        await notifications.notifier().verify_address(f"evt_{n}", "usr_ada")
    queries = notifications.queries()
    first = await queries.find(PageRequest(limit=2), None)
    rest = await queries.find(PageRequest(limit=2, after=first.next), None)
    assert [view.event_id for view in first.items + rest.items] == ["evt_2", "evt_1", "evt_0"]
    assert (await queries.find(PageRequest(), "usr_ben")).items == []
    assert len((await queries.find(PageRequest(), "usr_ada")).items) == 3


async def test_a_message_crosses_the_wire_whole(composer: Composer):
    async with mail_server() as server:
        await SmtpMailer(f"smtp://127.0.0.1:{server.port}", composer).send(MAIL)
    ((sender, recipients),), (message,) = server.envelopes, server.messages
    assert sender.startswith("FROM:<shop@shop.example>")
    assert recipients == ["TO:<ada@example.org>"]
    assert (message["Subject"], message["Message-ID"]) == ("Grüße", "<ntf_1@shop.example>")
    assert message["To"].addresses[0].display_name == "Ada Ö"
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n").startswith("Hello\n")


@pytest.mark.parametrize(
    ("replies", "raised"),
    [
        ({"RCPT": "550 <ada@example.org>: no such mailbox"}, Undeliverable),
        ({"MAIL": "550 not you"}, Undeliverable),
        ({"DATA": "554 no"}, Undeliverable),
        ({"RCPT": "451 <ada@example.org>: try later"}, TryLater),
        ({"DATA": "452 the mailbox of ada@example.org is full"}, TryLater),
    ],
)
async def test_a_refusal_for_good_is_told_from_one_for_now(composer: Composer, replies: dict[str, str], raised: type[Exception]):
    async with mail_server() as server:
        server.replies = replies
        with pytest.raises(raised) as refused:
            await SmtpMailer(f"smtp://127.0.0.1:{server.port}", composer).send(MAIL)
    assert isinstance(refused.value, Undeliverable) is (raised is Undeliverable)
    assert "example.org" not in "".join(format_exception(refused.value)), "it will be logged, and kept with the task"
    assert server.messages == []


async def test_a_server_that_is_away_is_tried_again_later(composer: Composer):
    async with mail_server() as server:
        port = server.port
    with pytest.raises(Exception) as refused:  # noqa: PT011 - any failure but the final one
        await SmtpMailer(f"smtp://127.0.0.1:{port}", composer).send(MAIL)
    assert not isinstance(refused.value, Undeliverable)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda mail: {"name": "Ada\r\nBcc: eve@example.org"},
        lambda mail: {"content": Content(locale="en", subject="Hello\r\nBcc: eve@example.org", text="", html="")},
    ],
)
def test_nobody_smuggles_a_header_in(composer: Composer, spoil: Callable[[Mail], dict[str, object]]):
    message = composer.compose(Mail(**{"id": MAIL.id, "email": MAIL.email, "name": MAIL.name, "content": CONTENT, **spoil(MAIL)}))  # type: ignore[arg-type]  # the field that the case spoils
    assert "Bcc" not in message


@pytest.mark.parametrize("address", ["not an address", "a@b\r\nBcc: eve@example.org", ""])
def test_an_address_that_no_mail_can_carry_is_undeliverable(composer: Composer, address: str):
    with pytest.raises(Undeliverable):
        composer.compose(Mail(id="ntf_1", email=address, name="Ada", content=CONTENT))
