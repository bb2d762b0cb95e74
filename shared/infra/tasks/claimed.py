"""A task in the hands of this process, for as long as its claim lasts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic


class ClaimLost(Exception):
    """The claim has run out, or somebody else has the task by now: whoever ran it has stopped."""


@dataclass(slots=True, eq=False)
class Claimed:
    """`ends` is a time of `time.monotonic()`, never later than the claim in the table; renewals move it on.

    `progress` is what the last step has stored. `cancelled` is set when somebody wants the task to end.
    """

    id: str
    kind: str
    key: str
    payload: str
    headers: str
    progress: str | None
    attempts: int
    claim: str
    ends: float
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    _within: asyncio.Timeout | None = None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """What happens inside is cut off at the end of the claim, and raises ClaimLost then."""
        try:
            async with asyncio.timeout(self.ends - monotonic()) as self._within:
                yield
        except TimeoutError as error:
            if self._within is not None and self._within.expired():
                raise ClaimLost(self.id) from error
            raise
        finally:
            self._within = None

    def renewed(self, ends: float) -> None:
        self.ends = ends
        if self._within is not None and not self._within.expired():
            self._within.reschedule(asyncio.get_running_loop().time() + ends - monotonic())

    def lost(self) -> None:
        self.renewed(monotonic())
