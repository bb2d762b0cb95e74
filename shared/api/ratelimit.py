"""Rate limits at the edge: whom a request is counted for, and what its answer says of that."""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from typing import Final

from litestar.types import HTTPScope

from shared.api.address import client_address
from shared.api.exchange import Exchange, exchange_of
from shared.api.refusals import RateLimited
from shared.domain.context import current
from shared.domain.limits import ACCOUNT, GUESTS_OF_ONE_ADDRESS, QUOTAS, Allowance, Ask, Quota, Rate, RateLimits

FIELDS: Final = ("RateLimit", "RateLimit-Policy")


class RateLimiter:
    """`scale` multiplies every quota; `proxies` of our own stand between the clients and this process."""

    def __init__(self, limits: RateLimits, *, scale: float, proxies: int) -> None:
        self._limits = limits
        self._proxies = proxies
        self._quotas = {rate: quota.times(scale) for rate, quota in QUOTAS.items()}
        self._account = ACCOUNT.times(scale)

    async def admit(self, scope: HTTPScope, rate: Rate) -> None:
        """Raises RateLimited."""
        allowance = await self._limits.take(list(self._asks(scope, rate)))
        tell(exchange_of(scope), allowance)
        refuse(allowance)

    async def admit_account(self, scope: HTTPScope, account: str) -> None:
        """`account` is what the client calls it, such as an e-mail address, of which only a hash is kept; raises RateLimited.

        What is left is told to nobody: it would say whether somebody else has tried this account.
        """
        digest = sha256(account.strip().casefold().encode()).hexdigest()
        refuse(await self._limits.take([Ask(self._account, f"account:{digest[:32]}")]))

    def _asks(self, scope: HTTPScope, rate: Rate) -> Iterator[Ask]:
        quota, principal = self._quotas[rate], current().principal
        if principal.verified and rate != "auth":
            yield Ask(quota, principal.scope)
            return
        address = f"address:{client_address(scope, self._proxies)}"
        if principal.kind == "cart" and rate != "auth":
            yield Ask(quota, principal.scope)
            yield Ask(quota.times(GUESTS_OF_ONE_ADDRESS), f"guests:{address}")
        else:
            yield Ask(quota, address)


def refuse(allowance: Allowance) -> None:
    if allowance.wait_s:
        most = f"at most {allowance.quota.amount} requests of this class in {allowance.quota.window_s} s"
        raise RateLimited(f"{most}: wait for {allowance.wait_s} s", retry_after=allowance.wait_s)


def tell(exchange: Exchange, allowance: Allowance) -> None:
    """The fields of draft-ietf-httpapi-ratelimit-headers-10; `t` is when the quota will be whole again."""
    quota = allowance.quota
    exchange.add(b"ratelimit-policy", policy(quota))
    exchange.add(b"ratelimit", f'"{quota.name}";r={allowance.left};t={allowance.full_in_s}'.encode())


@lru_cache(maxsize=64)
def policy(quota: Quota) -> bytes:
    return f'"{quota.name}";q={quota.amount};w={quota.window_s}'.encode()
