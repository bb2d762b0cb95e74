"""A service to call, clients of it that are closed at the end, and a clock that a test moves."""

from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

import pytest

from shared.domain.context import Context, begin
from shared.infra.http.client import HttpClient, Policy, nobody
from shared.infra.http.retries import RetryPolicy
from tests.chassis.http.service import Service, serving

AT_ONCE = RetryPolicy(first_pause_s=0, longest_pause_s=0)
UNHURRIED = {"total_s": 60.0, "attempt_s": 60.0, "connect_s": 60.0, "queue_s": 60.0}
"""On a machine that does other things too, only what a test is about ends by time."""


class Moved:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Moved:
    return Moved()


@pytest.fixture(autouse=True)
def nothing_begun() -> None:
    begin(Context())


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as service:
        yield service


@pytest.fixture
async def make_client() -> AsyncIterator[Callable[..., HttpClient]]:
    clients: list[HttpClient] = []

    def make(*, retry: RetryPolicy = AT_ONCE, addresses=None, trust=None, changed=nobody, clock=monotonic, **policy: Any) -> HttpClient:
        bounds = Policy(retry=retry, **{**UNHURRIED, **policy})
        clients.append(HttpClient("the parcel service", bounds, addresses=addresses, trust=trust, changed=changed, now=clock))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
def client(make_client: Callable[..., HttpClient]) -> HttpClient:
    return make_client()
