"""What an operator can do with the sagas of one module: list them, look at one, let one go on at once."""

from datetime import datetime
from typing import Any

import msgspec

from shared.domain.errors import NotFound
from shared.infra.db.statements import Reader

COLUMNS = "id, name, version, key, state, position, attempts, last_error, started_at, due_at, claimed_until, ended_at"

LIST = f"""
select {COLUMNS} from saga
where ($1::text is null and ended_at is null or state = $1) and ($2::text is null or key = $2) and id < coalesce($3::text, '~')
order by id desc limit $4
"""  # noqa: S608 - our own list of columns

SHOW = f"select {COLUMNS} from saga where id = $1"  # noqa: S608 - our own list of columns
DETAILS = "select owner, data, failure, outcome from saga where id = $1"
STEPS = "select step, direction, state, attempts, error, sent_at, ended_at from saga_step where saga_id = $1 order by sent_at, step"

RESUME = """
update saga set due_at = clock_timestamp(), attempts = 0, wakes = wakes + 1 where id = $1 and ended_at is null returning id
"""


class SagaRow(msgspec.Struct, frozen=True):
    id: str
    name: str
    version: int
    key: str
    state: str
    position: int
    attempts: int
    last_error: str | None
    started_at: datetime
    due_at: datetime
    claimed_until: datetime | None
    ended_at: datetime | None


class StepRow(msgspec.Struct, frozen=True):
    step: str
    direction: str
    state: str
    attempts: int
    error: str | None
    sent_at: datetime
    ended_at: datetime | None


class SagaSheet(msgspec.Struct, frozen=True):
    """Everything known about one saga. `data`, `failure` and `outcome` are what its definition keeps in them."""

    saga: SagaRow
    owner: str
    data: Any
    failure: Any
    outcome: Any
    steps: list[StepRow]


class SagaDesk:
    def __init__(self, database: Reader) -> None:
        self._database = database

    async def list(self, *, state: str | None = None, key: str | None = None, before: str | None = None, limit: int = 50) -> list[SagaRow]:
        """The newest first; those that have not ended, unless a state is named."""
        return await self._database.views(SagaRow, LIST, state, key, before, limit)

    async def show(self, saga_id: str) -> SagaSheet:
        saga = await self._database.view(SagaRow, SHOW, saga_id)
        details = await self._database.fetchrow(DETAILS, saga_id)
        if saga is None or details is None:
            raise NotFound(f"there is no saga {saga_id}")
        data, failure, outcome = (msgspec.json.decode(text or "null") for text in details[1:])
        return SagaSheet(saga, details["owner"], data, failure, outcome, await self._database.views(StepRow, STEPS, saga_id))

    async def resume(self, saga_id: str) -> None:
        """Make a saga that is stuck, waits or backs off due now, with its retries counted from nought; raises NotFound."""
        if await self._database.fetchval(RESUME, saga_id) is None:
            raise NotFound(f"there is no saga {saga_id} that has not ended")
