"""How many requests are let in: the rule on a clock of the test's own, and what becomes of the others."""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.api.admission import CUT, GROWTH, INTERVAL_S, LEAST, MOST, READS, Admission
from shared.api.middleware import EdgeOptions
from shared.infra.db.connections import Connections
from tests.chassis.api.tiny import SHELF, bearer, tiny

SHORT_S, LONG_S = 0.001, 0.015
"""Where 10 ms are allowed."""

ROUNDING = 1e-6


@dataclass
class Clock:
    s: float = 0.0

    def __call__(self) -> float:
        return self.s


class Load:
    """Requests at an admission, most of which stay for as long as the test wants."""

    def __init__(self, waiting: float = 0.0) -> None:
        self.clock = Clock()
        self.admission = Admission(10.0, waiting=lambda: waiting, now=self.clock)

    def begin(self, number: int, *, reads: bool = False) -> int:
        """How many of them were let in."""
        return sum(self.admission.enter(reads=reads) for _ in range(number))

    async def has(self, number: int) -> None:
        """So many are under way since an earlier interval."""
        self.begin(number)
        await self.turn(0)
        await self.interval(0)

    async def turn(self, seconds: float) -> None:
        """What is ready stands in the queue for so long."""
        self.clock.s += seconds
        await asyncio.sleep(0)

    async def interval(self, *turns_s: float) -> float:
        """One request comes and goes in each turn; answers the limit after the interval, which the last turn ends."""
        rest = INTERVAL_S + ROUNDING - sum(turns_s)
        assert rest >= 0
        for seconds in turns_s[:-1]:
            await self.one(seconds)
        self.clock.s += rest
        await self.one(turns_s[-1])
        return self.admission.limit

    async def one(self, turn_s: float) -> None:
        if self.admission.enter(reads=False):
            self.admission.leave()
        await self.turn(turn_s)


async def test_without_a_queue_everybody_is_let_in():
    load = Load()
    assert load.begin(MOST) == MOST
    assert await load.interval(*[SHORT_S] * 20) == MOST


async def test_a_standing_queue_cuts_the_limit_to_a_share_of_what_was_under_way_until_there_is_none():
    load = Load()
    await load.has(200)
    assert await load.interval(*[LONG_S] * 5) == pytest.approx(CUT * 201)
    assert load.begin(1) == 0
    for _ in range(100):
        load.admission.leave()
    assert await load.interval(*[LONG_S] * 5) == pytest.approx(CUT * CUT * 201)
    assert load.begin(100) == int(CUT * CUT * 201) - 100


async def test_some_turns_that_take_long_are_no_queue_and_most_of_them_are():
    load = Load()
    await load.has(200)
    assert await load.interval(LONG_S, LONG_S, SHORT_S, SHORT_S) == MOST
    assert await load.interval(LONG_S, LONG_S, LONG_S, SHORT_S) < MOST


async def test_who_is_nearly_alone_is_not_the_cause_and_a_few_are_always_let_in():
    load = Load()
    await load.has(LEAST - 1)
    assert await load.interval(*[LONG_S] * 5) == MOST
    await load.has(200)
    for _ in range(50):
        await load.interval(*[LONG_S] * 3)
    assert load.admission.limit == LEAST


async def test_a_limit_that_is_reached_without_a_queue_grows_and_one_that_is_not_stays():
    load = Load()
    await load.has(200)
    cut = await load.interval(*[LONG_S] * 5)
    assert await load.interval(*[SHORT_S] * 5) == pytest.approx(cut * (1 + GROWTH))
    for _ in range(150):
        load.admission.leave()
    now = await load.interval(*[SHORT_S] * 5)
    assert await load.interval(*[SHORT_S] * 5) == now
    for _ in range(100):
        await load.has(MOST)
    assert load.admission.limit == MOST


async def test_reads_are_refused_before_writes():
    load = Load()
    load.admission.limit = 100
    assert load.begin(200, reads=True) == int(100 * READS)
    assert load.begin(200) == 100 - int(100 * READS)
    assert load.admission.refused == 400 - 100


async def test_waiting_for_the_database_is_a_queue_too():
    load = Load(waiting=LONG_S)
    load.begin(200)
    assert await load.interval(*[SHORT_S] * 5) == pytest.approx(CUT * 201)


async def test_it_is_known_how_long_the_first_request_waits_for_a_connection():
    gone = asyncio.Event()

    async def connect(role: str) -> Any:
        await gone.wait()
        raise ConnectionRefusedError

    connections = Connections(connect, limit=1, set_aside=0, wait_s=60.0)
    assert connections.longest_wait() == 0.0

    async def use() -> None:
        async with connections.use("orders"):
            raise AssertionError("nobody connects")

    tasks = [asyncio.create_task(use()) for _ in range(2)]
    while not connections.longest_wait():
        await asyncio.sleep(0)
    earlier = connections.longest_wait()
    assert connections.longest_wait() > earlier > 0
    gone.set()
    assert {type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)} == {ConnectionRefusedError}
    assert connections.longest_wait() == 0.0


async def test_who_is_not_let_in_is_told_so_at_once_and_probes_are_answered_all_the_same():
    options = EdgeOptions(origins=["https://web.example"])
    with capture_logs() as lines:
        async with tiny(options) as app:
            options.admission.limit = 0
            refused = await app.client.post("/v1/shelves", json=SHELF, headers=bearer("manager", Origin="https://web.example"))
            again = await app.client.get("/v1/shelves")
            probes = [(await app.client.get(f"/health/{name}")).status_code for name in ("live", "ready", "startup")]
            assert not app.shelves.rows
    assert probes == [200, 200, 200]
    for answer in (refused, again):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (answer.json()["code"], answer.json()["retryable"]) == ("overloaded", True)
        assert answer.json()["trace_id"] == answer.headers["trace-id"]
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"api-version", "content-security-policy", "x-content-type-options"} <= answer.headers.keys()
        assert answer.headers["cache-control"] == "no-store"
    assert refused.headers["access-control-allow-origin"] == "https://web.example"
    assert [(line["event"], line.get("route")) for line in told(lines)] == [("overloaded", None)] + [
        ("request", f"/health/{name}") for name in ("live", "ready", "startup")
    ]


def told(lines: list[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    return [line for line in lines if line["event"] in ("request", "overloaded")]


async def test_a_place_is_free_again_however_a_request_has_ended():
    options = EdgeOptions(deadline_s=0.05)
    async with tiny(options) as app:
        for path in ("/v1/shelves", "/v1/nowhere", "/v1/boxes/fail?how=crash", "/v1/boxes/fail?how=hang"):
            await app.client.get(path)
        cancelled = asyncio.create_task(app.client.get("/v1/boxes/fail?how=hang"))
        while not options.admission.under_way:
            await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
    assert options.admission.under_way == 0


async def test_a_request_holds_its_place_until_it_is_answered():
    options = EdgeOptions()
    async with tiny(options) as app:
        options.admission.limit = 2.0
        hanging = asyncio.create_task(app.client.get("/v1/boxes/fail?how=hang"))
        await app.boxes.entered.wait()
        assert (await app.client.get("/v1/boxes/echo")).status_code == 503
        assert (await app.client.post("/v1/boxes/open")).status_code == 200
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        assert (await app.client.get("/v1/boxes/echo")).status_code == 200
