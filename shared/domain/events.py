"""Domain events: what a module promises to tell others, and how others listen."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Generic, TypeVar

import msgspec

E_co = TypeVar("E_co", covariant=True)


class Event(msgspec.Struct, frozen=True):
    """A fact in the past tense. Payloads carry ids and amounts, never names, addresses or e-mail.

    A subclass sets `event_type` (`<module>.<fact>`, stable for ever), `event_version`, and `event_key`: the field that
    holds the aggregate's id. Events of one key are heard in the order of their commits.
    """

    event_type: ClassVar[str]
    event_key: ClassVar[str]
    event_version: ClassVar[int] = 1

    @property
    def key(self) -> str:
        return str(getattr(self, self.event_key))


class Delivery(msgspec.Struct, Generic[E_co], frozen=True):
    """An event as a subscriber receives it: the consumer's own Struct in `data`, and its envelope."""

    event_id: str
    type: str
    version: int
    key: str
    aggregate_version: int
    created_at: datetime
    headers: Mapping[str, str]
    data: E_co
