"""Who a credential stands for, as a port: the edge asks, the root says who answers."""

from typing import Protocol

from shared.domain.context import Principal


class Authenticator(Protocol):
    async def authenticate(self, bearer: str) -> Principal:
        """The principal of a bearer token; raises Unauthenticated. Costs no round trip for a token seen before."""
        ...
