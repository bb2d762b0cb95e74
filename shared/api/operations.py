"""`GET /v1/operations/{id}`: what became of work that was answered with 202."""

from typing import Final

from litestar import Controller
from litestar.di import NamedDependency
from litestar.params import FromPath

from shared.api.answers import Reply, ok
from shared.api.routes import get
from shared.api.types import Id
from shared.domain.context import current
from shared.domain.errors import NotFound
from shared.domain.operations import Operation, Operations
from shared.domain.policy import Policy, shopper


class OperationRoutes(Controller):
    path = "/v1/operations"
    tags = ("operations",)

    @get("/{operation_id:str}", operation="getOperation", errors=[NotFound])
    async def read(self, operation_id: FromPath[Id], operations: NamedDependency[Operations]) -> Reply[Operation]:
        """How far it is, for whoever began it and for staff. `result` leads to what it is about."""
        return ok(await operations.read(operation_id, current().principal))


POLICY: Final[Policy] = {"getOperation": shopper()}
