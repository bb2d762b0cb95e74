"""A signal to a process in the middle of its work: nothing that was begun is lost, nothing is done twice, and the process ends well.

A lock on a table makes sure that it is the middle: everybody who comes to write there waits until the test lets them go on.
"""

import asyncio
import re
import secrets
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Final

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from entrypoints.process import build_worker
from shared.infra.config import Settings
from tests.chassis.waiting import until
from tests.journeys.buyers import Buyer, at_once, buyers, outcome
from tests.journeys.facts import Level, assert_books_balance, assert_each_paid_once, levels_of
from tests.journeys.system import Api, Running, System, nothing_running
from tests.support.collector import collector, spans_in
from tests.support.processes import start
from tests.support.shop import Goods, Shop
from tests.support.time import MODULES

pytestmark = pytest.mark.slow

BOOKED: Final = "payments.ledger_transaction"
PLACED: Final = "orders.event"
CARRIED: Final = "notifications.task"
MAILED: Final = "notifications.notification"
VARIANTS: Final = "catalog.variant"
LAST_SPANS: Final = {CARRIED: "receive notifications.orders", MAILED: "process orders.order_paid"}
"""Of a worker that was in the middle of writing to these tables."""

FINISHED: Final = {
    CARRIED: "select count(*) from notifications.task where kind like 'event:%'",
    MAILED: "select count(*) from notifications.task where kind like 'event:%' and state = 'done'",
}
"""What there is of it when it has ended."""

CLAIMED: Final = " union all ".join(
    f"""
    select '{module}: ' || kind || ' ' || state from {module}.task where state = 'claimed'
    union all select '{module}: ' || name || ' ' || state from {module}.saga where claimed_until > now()
    """
    for module in MODULES
)

SOLD: Final = (201, "")
CUT: Final = (503, "deadline_exceeded")
CROWD: Final = 6
LOUD: Final = {"TENON_LOG_LEVEL": "info", "PYTHONWARNINGS": "always"}
LONG_DRAIN: Final = {**LOUD, "TENON_DRAIN_SECONDS": "3600"}

UNCLEAN: Final = re.compile(r"Traceback|was destroyed|never (?:awaited|retrieved)|[Uu]nraisable|Exception ignored|Warning|unclosed")
NONE_OPEN: Final = """
    select count(*) = 0 from pg_stat_activity
    where datname = current_database() and starts_with(usename, 'tenon_') and xact_start is not null
"""
REPEATED: Final = "select count(*) from {module}.task where state = 'done' and (attempts <> 1 or lost <> 0)"


@pytest.fixture(scope="module")
async def system(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """With one door that stays; all else is started by the tests."""
    async with nothing_running(settings, tmp_path_factory.mktemp("logs")) as system:
        await system.ready(system.start_api())
        yield system


@pytest.fixture
def stays(system: System) -> Api:
    return system.apis[0]


@dataclass(frozen=True)
class Traces:
    """`environ` are settings of processes that send their spans here."""

    environ: dict[str, str]
    _received: list[ExportTraceServiceRequest]

    def names(self) -> Counter[str]:
        return Counter(span.name for span in spans_in(self._received))


@pytest.fixture
def traces() -> Iterator[Traces]:
    with collector() as (endpoint, received):
        yield Traces({"TENON_OTLP_ENDPOINT": endpoint, "TENON_TRACE_RATIO": "1"}, received)


def said(process: Running) -> str:
    return process.child.log.read_text(errors="replace")


async def says(process: Running, what: str) -> None:
    async def look() -> bool:
        return what in said(process)

    await until(look)


async def ended_well(system: System, process: Running, status: int = 0) -> None:
    """With that status, and without a word about anything that was left behind."""
    assert await system.ended(process) == status, said(process)
    words = said(process)
    assert [line for line in words.splitlines() if UNCLEAN.search(line)] == []
    assert '"event":"stopped"' in words


async def crowd_of(stays: Api, size: int = CROWD) -> tuple[Goods, list[Buyer], list[str]]:
    """So many carts with one piece each, and the key that each buyer will use; whatever the buyers cause is on a sampled trace."""
    goods = await stays.shop.goods(size)
    crowd = [
        replace(buyer, who={**buyer.who, "traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"})
        for buyer in await buyers([stays], [[(goods, 1)]] * size)
    ]
    return goods, crowd, [secrets.token_hex(8) for _ in crowd]


async def assert_all_paid_once(system: System, goods: Goods, crowd: list[Buyer]) -> None:
    """When another worker, in this process, has done what is left."""
    await build_worker(system.root).drain()
    await system.quiet()
    await assert_each_paid_once(system, crowd)
    assert await levels_of(system, goods.sku) == {goods.sku: Level(len(crowd), len(crowd), 0)}
    await assert_books_balance(system)


@contextmanager
def kept_alive(api: Api) -> Iterator[socket.socket]:
    """A connection that was answered once and is kept."""
    with closing(HTTPConnection(str(api.client.base_url.host), api.client.base_url.port, timeout=60)) as connection:
        connection.request("GET", "/health/live")
        assert connection.getresponse().read()
        yield connection.sock


async def asked(api: Api, path: str) -> httpx.Response:
    """By a new connection."""
    async with httpx.AsyncClient(base_url=api.client.base_url) as fresh:
        return await fresh.get(path)


async def is_refused(api: Api) -> bool:
    with suppress(httpx.ConnectError):
        await asked(api, "/health/live")
        return False
    return True


async def is_not_ready(api: Api) -> bool:
    answer = await asked(api, "/health/ready")
    return (answer.status_code, answer.headers.get("connection")) == (503, "close") and answer.json()["code"] == "not_ready"


async def test_what_is_in_flight_is_answered_and_nobody_else_is_let_in(system: System, stays: Api, traces: Traces) -> None:
    goods, crowd, keys = await crowd_of(stays)
    door = await system.ready(system.start_api("--with-worker", **LONG_DRAIN, **traces.environ))
    with kept_alive(door) as kept:
        async with system.locked(BOOKED):
            answering = asyncio.gather(*(buyer.completes(door, key=key) for buyer, key in zip(crowd, keys, strict=True)))
            await system.stuck(least=CROWD)
            door.child.ask(signal.SIGTERM)
            await until(lambda: is_refused(door))
            assert await asyncio.to_thread(kept.recv, 1) == b""
    answers = await answering
    assert {(*outcome(answer), answer.headers["connection"]) for answer in answers} == {(*SOLD, "close")}
    await ended_well(system, door)
    assert traces.names()["POST /v1/carts/{cart_id}/complete"] == CROWD
    await assert_all_paid_once(system, goods, crowd)


async def test_at_first_it_is_not_ready_any_more_and_a_second_signal_cuts_everything_short(system: System, stays: Api) -> None:
    goods, crowd, keys = await crowd_of(stays)
    door = await system.ready(system.start_api(**LONG_DRAIN, TENON_NOTICE_SECONDS="60"))
    async with system.locked(BOOKED):
        answering = asyncio.gather(*(buyer.completes(door, key=key) for buyer, key in zip(crowd, keys, strict=True)))
        await system.stuck(least=CROWD)
        door.child.ask(signal.SIGTERM)
        await until(lambda: is_not_ready(door))
        answers = [await asked(door, path) for path in ("/health/live", "/v1/products")]
        assert {(answer.status_code, answer.headers["connection"]) for answer in answers} == {(200, "close")}

        async def cut() -> bool:
            door.child.ask(signal.SIGTERM)
            return "requests_cut" in said(door)

        await until(cut)
        answers = await answering
        await until(lambda: system.admin.fetchval(NONE_OPEN))
    assert {(*outcome(answer), answer.headers["connection"], answer.headers["retry-after"]) for answer in answers} == {(*CUT, "close", "1")}
    await ended_well(system, door, 128 + signal.SIGTERM)
    await system.time_passes()
    await build_worker(system.root).drain()
    again = await at_once(buyer.insists(stays, key=key) for buyer, key in zip(crowd, keys, strict=True))
    assert {outcome(answer) for answer in again} == {SOLD}
    await assert_all_paid_once(system, goods, crowd)


async def test_what_takes_longer_than_it_may_is_cut_and_leaves_nothing_behind(system: System, stays: Api) -> None:
    door = await system.ready(system.start_api(**LOUD, TENON_DRAIN_SECONDS="1"))
    slug = f"stool-{secrets.token_hex(4)}"
    variant = {"sku": slug.upper(), "prices": [{"list_price": {"amount": 100, "currency": "USD"}}]}
    stool = {"title": "Stool", "slug": slug, "variants": [variant]}
    async with system.locked(VARIANTS):
        creating = asyncio.create_task(door.client.post("/v1/products", json=stool, headers=door.shop.admin))
        await system.stuck(least=1)
        door.child.ask(signal.SIGHUP)
        answer = await creating
        await until(lambda: system.admin.fetchval(NONE_OPEN))
    assert (*outcome(answer), answer.headers["connection"]) == (*CUT, "close")
    await ended_well(system, door)
    assert "requests_cut" in said(door)
    created = await stays.client.post("/v1/products", json=stool, headers=stays.shop.admin)
    assert created.status_code == 201, created.text


@pytest.mark.parametrize("table", [CARRIED, MAILED])
async def test_a_worker_ends_what_it_has_begun_and_another_one_repeats_nothing(
    system: System, stays: Api, table: str, traces: Traces
) -> None:
    goods, crowd, keys = await crowd_of(stays)
    bought = await at_once(buyer.completes(stays, key=key) for buyer, key in zip(crowd, keys, strict=True))
    assert {outcome(answer) for answer in bought} == {SOLD}
    done_before = await system.admin.fetchval(FINISHED[table])
    async with system.locked(table):
        worker = system.start_worker(**LONG_DRAIN, **traces.environ)
        await system.stuck(least=1)
        worker.child.ask(signal.SIGTERM)
        await says(worker, "stopping")
    await ended_well(system, worker)
    assert await system.admin.fetch(CLAIMED) == []
    assert await system.admin.fetchval(FINISHED[table]) > done_before
    assert traces.names()[LAST_SPANS[table]] > 0
    await assert_all_paid_once(system, goods, crowd)
    assert await system.admin.fetchval(REPEATED.format(module="notifications")) == 0


async def test_a_worker_passes_on_the_sagas_that_it_goes_on_with(system: System, stays: Api) -> None:
    goods, crowd, keys = await crowd_of(stays)
    asked = [buyer.completes(stays, "pm_card_3ds", key) for buyer, key in zip(crowd, keys, strict=True)]
    questions = [answer.json()["action_url"].removeprefix("http://test") for answer in await at_once(asked)]
    await at_once(stays.client.post(question, json={"approve": True}) for question in questions)
    async with system.locked(PLACED):
        worker = system.start_worker(**LONG_DRAIN)
        await system.stuck(least=1)
        worker.child.ask(signal.SIGINT)
        await says(worker, "stopping")
    await ended_well(system, worker)
    assert await system.admin.fetch(CLAIMED) == []
    await assert_all_paid_once(system, goods, crowd)
    assert await system.admin.fetchval(REPEATED.format(module="payments")) == 0


class Balancer(httpx.AsyncBaseTransport):
    """As in front of a system in earnest: whoever says that it is not ready gets no requests any more."""

    def __init__(self) -> None:
        self.open: list[tuple[Api, httpx.AsyncHTTPTransport]] = []
        self._turns = count()
        self._transports: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        door, transport = self.open[next(self._turns) % len(self.open)]
        request.url = request.url.copy_with(host=door.client.base_url.host, port=door.client.base_url.port)
        return await transport.handle_async_request(request)

    async def look(self, system: System, over: asyncio.Event) -> None:
        while not over.is_set():
            doors = system.apis[1:]
            ready = [door for door, answers in zip(doors, await at_once(is_ready(door) for door in doors), strict=True) if answers]
            self.open = [(door, self._transports.setdefault(door.name, httpx.AsyncHTTPTransport())) for door in ready] or self.open
            await asyncio.sleep(0.05)  # the pace of the probes

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()

    async def is_open(self) -> bool:
        return bool(self.open)


async def is_ready(api: Api) -> bool:
    """No answer soon is none."""
    with suppress(httpx.TransportError, TimeoutError):
        async with asyncio.timeout(2):
            return (await asked(api, "/health/ready")).status_code == 200
    return False


@pytest.mark.soak
async def test_nobody_notices_a_deployment(system: System, stays: Api) -> None:
    """All processes are replaced one after the other, and no customer finds a connection closed or refused."""
    goods, over, balancer = await stays.shop.goods(10_000), asyncio.Event(), Balancer()
    crowd: list[Buyer] = []
    client = httpx.AsyncClient(base_url="http://shop", transport=balancer, timeout=60)
    shop = replace(stays, client=client, shop=Shop(client, system.root))
    noticed = {**LOUD, "TENON_NOTICE_SECONDS": "5"}

    async def customer() -> None:
        while not over.is_set():
            [buyer] = await buyers([shop], [[(goods, 1)]])
            assert outcome(await buyer.insists(shop)) == SOLD
            crowd.append(buyer)

    async def deploy() -> None:
        old = [*system.apis[1:], *system.workers]
        worker = system.start_worker(**noticed)
        await system.ready(system.start_api(**noticed))
        await says(worker, "working")
        for process in old:
            process.child.ask(signal.SIGTERM)
            await ended_well(system, process)

    await deploy()
    async with asyncio.TaskGroup() as group:
        group.create_task(balancer.look(system, over))
        await until(balancer.is_open)
        for _ in range(CROWD):
            group.create_task(customer())
        for _ in range(6):
            await deploy()
        over.set()
    await client.aclose()
    await system.quiet()
    await assert_each_paid_once(system, crowd)
    assert await levels_of(system, goods.sku) == {goods.sku: Level(10_000, len(crowd), 0)}
    for module in ("notifications", "payments"):
        assert await system.admin.fetchval(REPEATED.format(module=module)) == 0
    for process in (*system.apis[1:], *system.workers):
        assert await system.asked_to_end(process) == 0


async def test_a_signal_before_it_has_started_ends_it_all_the_same(system: System) -> None:
    door = system.start_api(**LONG_DRAIN)

    async def ask() -> bool:
        """As soon as it handles signals it starts to the end, to end then."""
        handled = int(re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{door.child.pid}/status").read_text())[0], 16)
        return bool(handled & 1 << (signal.SIGTERM - 1))

    await until(ask)
    door.child.ask(signal.SIGTERM)
    await ended_well(system, door)


async def test_a_stream_is_ended_and_not_waited_for() -> None:
    with start(sys.executable, "-m", "tests.faults.streams") as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        async with httpx.AsyncClient(timeout=60) as client, client.stream("GET", url) as answer:
            chunks = answer.aiter_bytes()
            assert await anext(chunks) == b"data: 1\n\n"
            server.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                await anext(chunks)
        assert server.stdout.read().splitlines()[-1] == "the stream has ended"
        assert server.wait() == 0
