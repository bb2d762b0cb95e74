"""Long work as its beginner sees it: what a 202 answer points to."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec

from shared.domain.context import Principal


class OperationFailure(msgspec.Struct, frozen=True):
    """Why an operation failed and was undone: the code is that of the problem types."""

    code: Annotated[str, msgspec.Meta(examples=["conflict"])]
    detail: Annotated[str, msgspec.Meta(examples=["The resource is in a state that does not allow this now."])]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """`waiting` means that it needs somebody outside: a provider's answer, or a customer's confirmation at `action_url`. `result`
    is the path of what it is about."""

    id: Annotated[str, msgspec.Meta(examples=["sag_0199f3a27c5e7d10b4c8a1f2e3d4c5b6"])]
    kind: Annotated[str, msgspec.Meta(examples=["orders.complete_cart"])]
    status: Literal["running", "waiting", "succeeded", "failed"]
    result: Annotated[str, msgspec.Meta(examples=["/v1/orders/ord_0199f3a27c5e7d10b4c8a1f2e3d4c5b6"])] | None
    action_url: Annotated[str, msgspec.Meta(examples=["https://bank.example/challenges/1"])] | None
    failure: OperationFailure | None
    started_at: datetime
    ended_at: datetime | None


class Operations(Protocol):
    async def read(self, operation_id: str, reader: Principal) -> Operation:
        """For the principal that began it, and for staff; raises NotFound."""
        ...
