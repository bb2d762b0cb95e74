"""`/v1/jobs/{id}`: how far long work is that was begun by a request, and how to end it early."""

from typing import Any, Final

from litestar import Controller, Request
from litestar.di import NamedDependency
from litestar.params import FromPath

from shared.api.answers import Reply, accepted, ok
from shared.api.idempotency import once
from shared.api.routes import get, post
from shared.api.types import Id
from shared.domain.context import current
from shared.domain.errors import NotFound
from shared.domain.jobs import Job, JobEnded, Jobs
from shared.domain.policy import Policy, anyone_logged_in

PATH: Final = "/v1/jobs"


class JobRoutes(Controller):
    path = PATH
    tags = ("operations",)

    @get("/{job_id:str}", operation="getJob", errors=[NotFound])
    async def read(self, job_id: FromPath[Id], jobs: NamedDependency[Jobs]) -> Reply[Job]:
        """How far it is, for whoever began it and for administrators."""
        return ok(await jobs.read(job_id, current().principal))

    @post("/{job_id:str}/cancel", operation="cancelJob", errors=[NotFound, JobEnded], status=200)
    async def cancel(self, job_id: FromPath[Id], request: Request[Any, Any, Any], jobs: NamedDependency[Jobs]) -> Reply[Job]:
        """End it: at once while it waits, between two steps while it runs. What was done stays done; a repeat changes nothing."""
        return await once(request, jobs.cancel(job_id, current().principal), ok)


def begun(job: Job) -> Reply[Job]:
    """202 with the job, and where to follow it."""
    return accepted(job, f"{PATH}/{job.id}")


POLICY: Final[Policy] = {"getJob": anyone_logged_in(), "cancelJob": anyone_logged_in()}
