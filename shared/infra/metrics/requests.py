"""What requests cost: how many there were, how long they took, and what they asked of the database, by route."""

from collections.abc import Mapping
from typing import Final

from shared.domain.context import Context
from shared.infra.metrics.instruments import Metrics

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STATEMENTS: Final = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55)


class Requests:
    def __init__(self, metrics: Metrics) -> None:
        route = ("method", "route")
        self._answered = metrics.counter("tenon_http_requests_total", "Requests that were answered.", *route, "status")
        self._lasted = metrics.histogram("tenon_http_request_duration_seconds", "Time from request to answer.", SECONDS, *route)
        self._statements = metrics.histogram("tenon_http_request_sql_statements", "SQL statements of a request.", STATEMENTS, *route)
        self._sql = metrics.counter("tenon_http_request_sql_seconds_total", "Time that requests waited for the database.", *route)
        self._problems = metrics.counter("tenon_http_problems_total", "Refusals and failures, by the code that the client is told.", "code")
        self._replays = metrics.counter("tenon_http_idempotent_replays_total", "Repeated requests that had the first one's answer.")

    def answered(self, method: str, route: str, status: int, seconds: float, context: Context) -> None:
        """`route` is the template, and one word for all that have none. It is called for every request, and costs about a microsecond."""
        if method not in METHODS:
            method = "_OTHER"
        self._answered.add(method, route, str(status))
        self._lasted.observe(seconds, method, route)
        self._statements.observe(context.sql_count, method, route)
        if context.sql_count:
            self._sql.add(method, route, by=context.sql_seconds)
        if context.log:
            self._told(context.log)

    def _told(self, log: Mapping[str, object]) -> None:
        """What the request's log line says of it beyond what every line has."""
        if code := log.get("problem"):
            self._problems.add(str(code))
        if "replayed" in log:
            self._replays.add()
