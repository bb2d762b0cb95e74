"""How many requests a caller may make, as a port: each route names a class, the root says who counts."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final, Literal, Protocol

import msgspec

Rate = Literal["read", "search", "write", "checkout", "auth", "webhook"]


class Quota(msgspec.Struct, frozen=True, dict=True, cache_hash=True):
    """`amount` requests at once, which come back evenly over `window_s`: a token bucket (GCRA).

    An `exact` one is counted in one place for all processes. Of another, each process keeps to itself up to a share of what it
    has let through, so that most requests cost no round trip: n processes let at most n shares too many through.
    """

    name: str
    amount: int
    window_s: int
    exact: bool = True

    @cached_property
    def cost_us(self) -> int:
        """How long it takes until what one request took has come back."""
        return -(-self.window_s * 1_000_000 // self.amount)

    @cached_property
    def capacity_us(self) -> int:
        return self.cost_us * self.amount

    @cached_property
    def share(self) -> int:
        return max(1, self.amount // 20)

    def times(self, factor: float) -> "Quota":
        return msgspec.structs.replace(self, amount=max(1, round(self.amount * factor)))


QUOTAS: Final[Mapping[Rate, Quota]] = {
    "read": Quota("read", 1200, 60, exact=False),
    "search": Quota("search", 300, 60, exact=False),
    "write": Quota("write", 300, 60),
    "checkout": Quota("checkout", 30, 60),
    "auth": Quota("auth", 60, 300),
    "webhook": Quota("webhook", 6000, 60, exact=False),
}
"""What one caller may ask for; the setting `rate_scale` multiplies all of them."""

ACCOUNT: Final = Quota("account", 10, 900)
"""What may be tried on one account, whoever tries it."""

GUESTS_OF_ONE_ADDRESS: Final = 10
"""So many times a quota have all guests' carts of one address together: nobody has vouched for their tokens."""


class Ask(msgspec.Struct, frozen=True, cache_hash=True):
    """One more request of `caller`, such as `user:usr_…` or `address:192.0.2.7`."""

    quota: Quota
    caller: str


class Allowance(msgspec.Struct, frozen=True):
    """What is left of the scarcest quota that was asked. `wait_s` above 0 refuses: so long until one more is let through."""

    quota: Quota
    left: int
    full_in_s: int
    wait_s: int


class RateLimits(Protocol):
    async def take(self, asks: Sequence[Ask]) -> Allowance:
        """Take one of every quota, or none of any; they are all exact or none is. Never raises for want of a server."""
        ...
