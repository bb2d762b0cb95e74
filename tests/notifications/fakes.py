"""Small stand-ins: the neighbours, notifications kept in memory, a mailbox, and a mail server that speaks SMTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, TypeVar

import msgspec

from modules.identity.public import AlreadyVerified, Contact
from modules.notifications.domain.notification import Notification, Status
from modules.notifications.domain.ports import Mail
from modules.orders.public import OrderSummary, SummaryLine
from shared.domain.events import Event
from shared.domain.guard import hold, let_go
from shared.domain.money import Money

T = TypeVar("T")

ADA = Contact(user_id="usr_ada", email="ada@example.org", name="Ada", locale="en-GB")
BEN = Contact(user_id="usr_ben", email="ben@example.org", name="Ben", locale="de-AT")


class KnownPeople:
    """Implements the facade of identity. `verified` have nothing left to confirm."""

    def __init__(self, *contacts: Contact, verified: Sequence[str] = ()) -> None:
        self._contacts = contacts
        self._verified = verified

    async def contacts(self, user_ids: Sequence[str]) -> list[Contact]:
        return [contact for contact in self._contacts if contact.user_id in user_ids]

    async def verification_link(self, user_id: str, key: str) -> str:
        if user_id in self._verified:
            raise AlreadyVerified("verified")
        return f"https://shop.example/verify?token={user_id}-{key}"


class KnownOrders:
    """Implements the facade of orders."""

    def __init__(self, *orders: OrderSummary) -> None:
        self._orders = orders

    async def summaries(self, order_ids: Sequence[str]) -> list[OrderSummary]:
        return [order for order in self._orders if order.order_id in order_ids]


def order(order_id: str = "ord_1", *, user_id: str | None = None, guest_email: str | None = None) -> OrderSummary:
    stool = SummaryLine(title="Oak <stool>", sku="STOOL-OAK", quantity=2, unit_price=Money(109_950, "USD"), total=Money(219_900, "USD"))
    return OrderSummary(
        order_id=order_id,
        number="100001",
        user_id=user_id,
        guest_email=guest_email,
        lines=[stool],
        total=Money(219_900, "USD"),
        placed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


class MemoryNotifications:
    """Implements Notifications."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, str], Notification] = {}
        self.failures: list[str] = []

    async def begin(self, notification: Notification) -> Notification:
        return self.kept.setdefault((notification.event_id, notification.template, notification.recipient), notification)

    async def end(self, notification: Notification, status: Status) -> bool:
        key = (notification.event_id, notification.template, notification.recipient)
        news = self.kept[key].status is Status.SENDING
        self.kept[key] = replace(self.kept[key], status=status)
        return news

    async def note_failure(self, notification: Notification, error: str) -> None:
        self.failures.append(error)


class MemoryTransact:
    """One transaction after the other, with nothing outbound inside."""

    def __init__(self) -> None:
        self.notifications = MemoryNotifications()
        self.events: list[Event] = []

    async def __call__(self, work: Callable[[Any], Awaitable[T]], /) -> T:
        held = hold("tenon_notifications")
        try:
            return await work(self)
        finally:
            let_go(held)

    def record(self, event: Event, *, version: int) -> None:
        self.events.append(event)

    def enqueue(
        self, kind: str, payload: object, *, unique: str | None = None, delay_s: float = 0.0, key: str = "", priority: int = 5
    ) -> None:
        raise AssertionError("notifications enqueues nothing")

    def begin_saga(self, name: str, state: msgspec.Struct, *, key: str) -> str:
        raise AssertionError("notifications has no saga")

    def wake_saga(self, saga_id: str) -> None:
        raise AssertionError("notifications has no saga")


class Mailbox:
    """Implements Mailer. `failures` are raised by the next sends, one each; `after_sending`, once the mail has left."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.failures: list[Exception] = []
        self.after_sending: list[Exception] = []

    async def send(self, mail: Mail) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.mails.append(mail)
        if self.after_sending:
            raise self.after_sending.pop(0)


@dataclass
class MailServer:
    """What a server saw: envelopes and messages. `replies` are codes instead of 250, by the command's first word."""

    port: int = 0
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    messages: list[EmailMessage] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender, recipients = "", list[str]()
        writer.write(b"220 mail.example\r\n")
        while line := (await reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            reply = self.replies.get(verb.upper(), "250 ok")
            match verb.upper():
                case "MAIL":
                    sender = rest
                case "RCPT":
                    recipients.append(rest)
                case "DATA":
                    writer.write(b"354 go on\r\n")
                    body = await reader.readuntil(b"\r\n.\r\n")
                    if reply.startswith("250"):
                        self.envelopes.append((sender, recipients))
                        self.messages.append(message_from_bytes(body[:-5], _class=EmailMessage, policy=default))
                case "QUIT":
                    reply = "221 bye"
            writer.write(f"{reply}\r\n".encode())
            if verb.upper() == "QUIT":
                break
        writer.close()


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    seen = MailServer()
    server = await asyncio.start_server(seen.converse, "127.0.0.1", 0)
    seen.port = server.sockets[0].getsockname()[1]
    async with server:
        yield seen
