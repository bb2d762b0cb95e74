"""Long work as its beginner sees it: what a 202 answer points to."""

from datetime import datetime
from typing import Literal, Protocol

import msgspec

from shared.domain.context import Principal


class OperationFailure(msgspec.Struct, frozen=True):
    """Why an operation failed and was undone: the code is that of the problem types."""

    code: str
    detail: str


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """`waiting` means that it needs somebody outside: a customer's confirmation, a provider's answer. `result` is the path
    of what it is about."""

    id: str
    kind: str
    status: Literal["running", "waiting", "succeeded", "failed"]
    result: str | None
    failure: OperationFailure | None
    started_at: datetime
    ended_at: datetime | None


class Operations(Protocol):
    async def read(self, operation_id: str, reader: Principal) -> Operation:
        """For the principal that began it, and for staff; raises NotFound."""
        ...
