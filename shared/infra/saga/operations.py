"""Sagas as operations: read through the role of the module that each belongs to."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from shared.domain.context import Principal
from shared.domain.errors import NotFound
from shared.domain.operations import Operation, OperationFailure
from shared.domain.policy import STAFF
from shared.domain.saga import Saga
from shared.infra.db.statements import Reader, Row

READ = """
select id, name, version, key, state, data, failure, started_at, ended_at from saga where id = $1 and ($2::text is null or owner = $2)
"""

STATUS: Final[Mapping[str, Literal["running", "waiting", "succeeded", "failed"]]] = {
    "running": "running",
    "waiting": "waiting",
    "compensating": "running",
    "stuck": "running",
    "done": "succeeded",
    "failed": "failed",
}
"""What is stuck is an operator's business: for its beginner it goes on."""


class SagaOperations:
    """`sagas` names, for each module's database that has any, the definitions that live there."""

    def __init__(self, sagas: Sequence[tuple[Reader, Sequence[Saga[Any, Any]]]]) -> None:
        self._modules = [(database, {(saga.name, saga.version): saga for saga in of_module}) for database, of_module in sagas]

    async def read(self, operation_id: str, reader: Principal) -> Operation:
        owner = None if reader.roles & STAFF else reader.scope
        for database, known in self._modules:
            row = await database.fetchrow(READ, operation_id, owner)
            if row is not None:
                return _operation(row, known.get((row["name"], row["version"])))
        raise NotFound("there is no such operation")


def _operation(row: Row, saga: Saga[Any, Any] | None) -> Operation:
    """`saga` is None for one of a version that is not known here any more."""
    waiting = saga is not None and row["state"] == "waiting"
    return Operation(
        id=row["id"],
        kind=row["name"],
        status=STATUS[row["state"]],
        result=(saga.result.format(key=row["key"]) or None) if saga else None,
        action_url=saga.action_url(msgspec.json.decode(row["data"], type=saga.state)) if saga and waiting else None,
        failure=None if row["failure"] is None else msgspec.json.decode(row["failure"], type=OperationFailure),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )
