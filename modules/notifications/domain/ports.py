"""What notifications needs from outside: its table, its neighbours in our words, templates and a mail server."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from modules.notifications.domain.notification import Notification, Status, Template
from shared.domain.money import Money
from shared.domain.work import Recorder


class Addressee(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to write to. `recipient` names them without their address."""

    recipient: str
    email: str
    name: str
    locale: str


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    sku: str
    quantity: int
    total: Money


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail about an order says. Either `user_id` or `guest_email` says who placed it."""

    id: str
    number: str
    user_id: str | None
    guest_email: str | None
    lines: list[OrderLine]
    total: Money


class People(Protocol):
    async def addressee(self, user_id: str) -> Addressee | None:
        """None for somebody who is no longer known."""
        ...

    async def verification_link(self, user_id: str, key: str) -> str | None:
        """The same link for the same key; None when there is nothing (left) to verify."""
        ...


class OrderBook(Protocol):
    async def order(self, order_id: str) -> Order | None: ...


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A rendered message. `locale` is the one of the template that was found."""

    locale: str
    subject: str
    text: str
    html: str


class Renderer(Protocol):
    def render(self, template: Template, locale: str, facts: Mapping[str, object]) -> Content:
        """In `locale`, in its language, or else in English."""
        ...


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the same for every try: receivers recognise a repeat by the Message-ID made of it."""

    id: str
    email: str
    name: str
    content: Content


class Undeliverable(Exception):
    """The mail server refuses this message for good; no other failure of a mailer is."""


class Mailer(Protocol):
    async def send(self, mail: Mail) -> None: ...


class Notifications(Protocol):
    async def begin(self, notification: Notification) -> Notification:
        """Write down that it is about to be sent; answers the one that exists already for its event, template and recipient."""
        ...

    async def end(self, notification: Notification, status: Status) -> bool:
        """Write down how sending ended; False when that was known before."""
        ...

    async def note_failure(self, notification: Notification, error: str) -> None:
        """Sending failed for now."""
        ...


class Work(Recorder, Protocol):
    """A unit of work of notifications."""

    @property
    def notifications(self) -> Notifications: ...
