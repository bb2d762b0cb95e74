"""Jobs as those see them who began them, and administrators: read and cancelled through the role of the module that each belongs to."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from shared.domain.context import Principal
from shared.domain.errors import NotFound
from shared.domain.jobs import Job, JobEnded, Progress
from shared.domain.operations import OperationFailure
from shared.infra.db.database import Database
from shared.infra.db.statements import Row
from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.tasks.cancelling import CANCEL
from shared.infra.tasks.job import Ending
from shared.infra.tasks.kind import JobKind, Kind

# task_pkey, both
_OURS: Final = "id = $1 and kind = any($2) and ($3::text is null or headers ->> 'actor' = $3)"
_READ: Final = f"""
select id, kind, state, cancelled_by is not null as cancelling, progress, result, created_at, ended_at from task where {_OURS}
"""  # noqa: S608 - constants of ours
_CANCEL: Final = f"{CANCEL.format(by='$4')} where {_OURS} and state in ('ready', 'blocked', 'claimed')"

Status = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
STATUS: Final[Mapping[str, Status]] = {
    "ready": "queued",
    "blocked": "queued",
    "claimed": "running",
    "done": "succeeded",
    "dead": "failed",
    "discarded": "cancelled",
}
GAVE_UP: Final = OperationFailure("internal_error", "It failed again and again, and has been given up; those who run Tenon can see why.")


class JobDesk:
    """Implements shared.domain.jobs.Jobs for `modules`: each database that has any, with the kinds that live there."""

    def __init__(self, modules: Sequence[tuple[Database, Sequence[Kind]]]) -> None:
        jobs = [(database, [kind.name for kind in kinds if isinstance(kind, JobKind)]) for database, kinds in modules]
        self._modules = [(database, kinds) for database, kinds in jobs if kinds]

    async def read(self, job_id: str, reader: Principal) -> Job:
        return _job((await self._find(job_id, reader))[1])

    async def cancel(self, job_id: str, by: Principal) -> Job:
        database, found = await self._find(job_id, by)

        async def work(uow: UnitOfWork) -> Job:
            await uow.fetch(_CANCEL, job_id, [found["kind"]], _owner(by), by.scope)
            row = await uow.fetchrow(_READ, job_id, [found["kind"]], _owner(by))
            job = _job(row or found)
            if job.status in ("succeeded", "failed"):
                raise JobEnded(f"the job has {job.status}")
            return job

        return await Transact[UnitOfWork](database, lambda uow: uow)(work)

    async def _find(self, job_id: str, reader: Principal) -> tuple[Database, Row]:
        for database, kinds in self._modules:
            row = await database.fetchrow(_READ, job_id, kinds, _owner(reader))
            if row is not None:
                return database, row
        raise NotFound("there is no such job")


def _owner(reader: Principal) -> str | None:
    """Whose jobs they may see; None: everybody's."""
    return None if "admin" in reader.roles else reader.scope


def _job(row: Row) -> Job:
    status = STATUS[row["state"]]
    ending = Ending() if row["result"] is None else msgspec.json.decode(row["result"], type=Ending)
    if status == "running" and row["cancelling"]:
        status = "cancelling"
    if ending.failure is not None:
        status = "failed"
    return Job(
        id=row["id"],
        kind=row["kind"],
        status=status,
        progress=None if row["progress"] is None else msgspec.json.decode(row["progress"], type=Progress),
        result=ending.result,
        failure=GAVE_UP if row["state"] == "dead" else ending.failure,
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )
