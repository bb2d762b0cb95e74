"""What notifications shows, and the query that answers it."""

from datetime import datetime
from typing import Protocol

import msgspec

from shared.domain.page import PageRequest, Slice


class NotificationView(msgspec.Struct, frozen=True):
    """A notification without its address. `recipient` is a user's id, or names the order of a guest."""

    id: str
    template: str
    channel: str
    status: str
    recipient: str
    about: str
    locale: str
    event_id: str
    attempts: int
    created_at: datetime
    ended_at: datetime | None


class NotificationQueries(Protocol):
    async def find(self, page: PageRequest, about: str | None) -> Slice[NotificationView]:
        """Newest first."""
        ...
