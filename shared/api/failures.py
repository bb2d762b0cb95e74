"""Whatever a handler raises becomes a problem document; what nobody expected is logged with its stack and says nothing."""

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from shared.api.options import OPT_DOCUMENTED, OPT_OPERATION
from shared.api.problems import MEDIA_TYPE, ProblemWriter, Rendered, from_framework
from shared.api.refusals import InternalError, Refusal
from shared.api.wire import Outgoing
from shared.domain.context import current
from shared.domain.errors import DomainError, Unavailable

_log = structlog.get_logger("tenon.api")


class FailureHandler:
    """For every kind of exception; Litestar calls it where Litestar handles the request."""

    def __init__(self, problems: ProblemWriter) -> None:
        self._problems = problems

    def __call__(self, request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        problem = self._problem(request, error)
        headers = {name.decode(): value.decode() for name, value in problem.headers if name != b"content-type"}
        return Response(problem.body, status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)

    def outgoing(self, request: Request[Any, Any, Any], error: Exception) -> Outgoing:
        problem = self._problem(request, error)
        return Outgoing(problem.status, list(problem.headers), problem.body)

    def _problem(self, request: Request[Any, Any, Any], error: Exception) -> Rendered:
        refusal = refusal_of(error)
        _note_undocumented(request, refusal)
        return self._problems.write(refusal, instance=request.scope["path"], trace_id=current().trace_id)


def refusal_of(error: Exception) -> DomainError:
    """The refusal that an exception stands for; logs the stack of one that nobody meant."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, HTTPException) and error.status_code < 500:
        return from_framework(error.status_code, error.headers or {})
    _log.error("unhandled_exception", exc_info=error)
    return InternalError("something unexpected happened; it was logged under the trace_id")


def _note_undocumented(request: Request[Any, Any, Any], refusal: DomainError) -> None:
    """The documentation is true for every status: a refusal that it does not name is a defect, and seen in the logs.

    That something is away for a while is said of every operation, whatever it is.
    """
    opt: dict[str, Any] = getattr(request.scope.get("route_handler"), "opt", {})
    if OPT_DOCUMENTED in opt and not isinstance(refusal, Refusal | Unavailable) and type(refusal) not in opt[OPT_DOCUMENTED]:
        _log.warning("undocumented_problem", code=refusal.code, operation=opt[OPT_OPERATION].id)
