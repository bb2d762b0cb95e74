"""What no operation decides itself and each may answer with: provoked on every operation of the whole application."""

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
from litestar.routes import HTTPRoute

from entrypoints.container import Root
from entrypoints.http import create_app
from shared.api.health import Lifecycle
from shared.api.options import OPT_OPERATION, OPT_USE_CASES
from shared.api.problems import status_of
from shared.api.refusals import DeadlineExceeded, InternalError, Overloaded, RateLimited, SlowRequest
from shared.domain.errors import Busy, CommitOutcomeUnknown, DomainError, Unavailable
from shared.domain.once import AnswerTooLarge, InFlight, KeyReused
from tests.chassis.api.test_whole_application import EVERY_ROLE, document, operations, send
from tests.support import application
from tests.support.tokens import bearer

__all__ = ["document"]

ANYWHERE: Final[tuple[type[DomainError], ...]] = (
    AnswerTooLarge, Busy, CommitOutcomeUnknown, DeadlineExceeded, InFlight, InternalError, KeyReused, Overloaded, RateLimited,
    SlowRequest, Unavailable,
)  # fmt: skip
WAITS_FOR_NOTHING: Final = {"getKeySet", "readLiveness", "readReadiness", "readStartup"}
"""They have no use case that could fail."""


class Failing:
    """Stands for every use case."""

    def __init__(self) -> None:
        self.error: Exception = AssertionError("nothing was chosen")

    def __getattr__(self, _: str) -> Any:
        async def use_case(*_: Any, **__: Any) -> Any:
            raise self.error

        return use_case


@pytest.fixture
async def failing(container: Root) -> AsyncIterator[tuple[Failing, httpx.AsyncClient]]:
    app, everything = create_app(container), Failing()
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if (use_cases := handler.opt.get(OPT_USE_CASES)) and handler.opt[OPT_OPERATION].id not in WAITS_FOR_NOTHING:
                handler.opt[OPT_USE_CASES] = dict.fromkeys(use_cases, everything)
    async with application.in_process(app) as client:
        yield everything, client


@pytest.mark.parametrize("kind", ANYWHERE, ids=[kind.code for kind in ANYWHERE])
async def test_what_can_happen_anywhere_is_answered_as_documented_everywhere(
    failing: tuple[Failing, httpx.AsyncClient], container: Root, document: dict[str, Any], kind: type[DomainError], lines: list[Any]
) -> None:
    everything, client = failing
    everything.error = RuntimeError("a bug") if kind is InternalError else kind("provoked")
    headers, asked = bearer(container, EVERY_ROLE), 0
    for path, method, operation in operations(document):
        refusals = operation["responses"].get(str(status_of(kind)), {}).get("content", {}).get("application/problem+json", {})
        if kind.code not in refusals.get("examples", ()) or operation["operationId"] in WAITS_FOR_NOTHING:
            continue
        answer = await send(client, document, path, method, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status_of(kind), kind.code), (operation["operationId"], answer.text)
        asked += 1
    assert asked >= 15


async def test_who_is_not_up_yet_says_so(container: Root) -> None:
    async with application.in_process(create_app(container, lifecycle=Lifecycle())) as client:
        for probe in ("ready", "startup"):
            answer = await client.get(f"/health/{probe}")
            assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
