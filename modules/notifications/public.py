"""What others may know of notifications: that one left, or could not be delivered."""

from typing import ClassVar

from shared.domain.events import Event


class NotificationSent(Event, frozen=True, kw_only=True):
    """The mail server has taken the message; `about` is the id of the user or order."""

    event_type: ClassVar[str] = "notifications.notification_sent"
    event_key: ClassVar[str] = "notification_id"
    notification_id: str
    template: str
    about: str


class NotificationBounced(Event, frozen=True, kw_only=True):
    """The mail server refuses the message for good."""

    event_type: ClassVar[str] = "notifications.notification_bounced"
    event_key: ClassVar[str] = "notification_id"
    notification_id: str
    template: str
    about: str


PUBLISHES: tuple[type[Event], ...] = (NotificationSent, NotificationBounced)
