"""A notification: one template to one recipient because of one event, however often that is handled."""

from dataclasses import dataclass
from enum import StrEnum


class Template(StrEnum):
    VERIFY_ADDRESS = "verify_address"
    ACCOUNT_EXISTS = "account_exists"
    ORDER_CONFIRMED = "order_confirmed"
    ORDER_CANCELLED = "order_cancelled"


class Status(StrEnum):
    SENDING = "sending"
    SENT = "sent"
    BOUNCED = "bounced"


@dataclass(frozen=True, slots=True)
class Notification:
    """`recipient` is a user's id, or `guest:<order id>`; addresses are asked for when a mail is sent and never kept.

    `about` is the id of the user or order that it tells of. (event_id, template, recipient) is unique.
    """

    id: str
    event_id: str
    template: Template
    recipient: str
    about: str
    locale: str
    status: Status = Status.SENDING
    version: int = 1
