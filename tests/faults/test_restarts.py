"""Servers restart, end every session, hang and are overrun while customers buy: processes stay up, say so quickly, and recover.

The servers are the test's own. A lock on a table makes sure that the customers are in the middle of it.
"""

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import pytest

from entrypoints.commands import schemas
from entrypoints.container import compose
from entrypoints.development.children import SHORT_PLACE, free_port
from entrypoints.development.embedded import EmbeddedPostgres, EmbeddedValkey
from shared.infra.config import load
from tests.chassis.waiting import until
from tests.journeys.buyers import Buyer, at_once, buyers, outcome
from tests.journeys.facts import Level, assert_books_balance, assert_each_paid_once, levels_of
from tests.journeys.system import PATIENCE_S, Api, System, nothing_running
from tests.support.application import environment
from tests.support.shop import ADDRESS, Goods

pytestmark = pytest.mark.slow

BOOKED: Final = "payments.ledger_transaction"
VARIANTS: Final = "catalog.variant"

SOLD: Final = (201, "")
CROWD: Final = 6
CONNECTIONS: Final = 16
REQUESTS: Final = 3 * CONNECTIONS
"""At once: more than there are connections."""

BOUNDED: Final = {"TENON_REQUEST_SECONDS": "5", "TENON_DB_CONNECTIONS": str(CONNECTIONS)}
EVERY_SESSION: Final = "select count(pg_terminate_backend(pid)) from pg_stat_activity where starts_with(usename, 'tenon_')"


@dataclass(frozen=True)
class Servers:
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey

    def crash_postgres(self) -> None:
        """At once, as if it had lost its power; it comes back at the same address."""
        os.kill(self.postgres.pid, signal.SIGQUIT)
        self.postgres.stop()
        self.postgres.start()

    def restart_valkey(self) -> None:
        self.valkey.stop()
        self.valkey.start()

    def signal_postgres(self, number: signal.Signals) -> None:
        """To all of its processes."""
        pid = self.postgres.pid
        for each in [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]:
            os.kill(each, number)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    folder = Path(tempfile.mkdtemp(prefix="tenon-test-", dir=SHORT_PLACE))
    folder.chmod(0o755)
    durable = EmbeddedPostgres(folder, port=free_port(), password=secrets.token_urlsafe(), settings={"fsync": "off"})
    with durable as postgres, EmbeddedValkey(port=free_port()) as valkey:
        yield Servers(postgres, valkey)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
async def system(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """One API process and one worker."""
    folder: Path = tmp_path_factory.mktemp("system")
    url = servers.postgres.url()
    settings = load(environment(url, servers.valkey.url(), (folder / "outbox").as_uri()))
    await schemas.migrate(url, settings, compose(settings).modules())
    async with nothing_running(settings, folder) as system:
        system.start_worker()
        await system.ready(system.start_api(**BOUNDED))
        yield system
        for process in (*system.apis, *system.workers):
            assert await system.asked_to_end(process) == 0
            said = process.child.log.read_text().splitlines()
            assert [line for line in said if '"level":"error"' in line or not line.startswith("{")] == []


@pytest.fixture
def api(system: System) -> Api:
    return system.apis[0]


@dataclass
class Seen:
    """What a process said while something was wrong: its liveness, its readiness, and to somebody who only looks around."""

    lives: Counter[int] = field(default_factory=Counter)
    ready: Counter[str] = field(default_factory=Counter)
    answers: list[httpx.Response] = field(default_factory=list)


@asynccontextmanager
async def watched(api: Api) -> AsyncIterator[Seen]:
    """From a ready process to a ready process: when this is left, it has recovered."""
    seen, over = Seen(), asyncio.Event()

    async def is_ready() -> bool:
        answer = (await api.client.get("/health/ready")).json()
        status = answer.get("code") or answer["status"]
        seen.ready[status] += 1
        return bool(status == "ready")

    async def watch() -> None:
        while not over.is_set():
            seen.lives[(await api.client.get("/health/live")).status_code] += 1
            await is_ready()
            await asyncio.sleep(0.02)  # the pace of the probes

    async def look_around() -> None:
        while not over.is_set():
            seen.answers.append(await api.client.get("/v1/products"))
            await asyncio.sleep(0.02)  # the pace of the customer

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        group.create_task(look_around())
        yield seen
        await until(is_ready)
        over.set()
    assert set(seen.lives) == {200}
    assert (await api.client.get("/v1/products")).status_code == 200
    assert_refused_well(seen.answers)


def assert_refused_well(answers: Sequence[httpx.Response]) -> None:
    for answer in answers:
        if not answer.is_success:
            assert answer.status_code == 503, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["retryable"]


async def crowd_of(api: Api) -> tuple[Goods, list[Buyer], list[str]]:
    goods = await api.shop.goods(CROWD)
    crowd = await buyers([api], [[(goods, 1)]] * CROWD)
    return goods, crowd, [secrets.token_hex(8) for _ in crowd]


async def everybody_insists(api: Api, crowd: Sequence[Buyer], keys: Sequence[str]) -> list[httpx.Response]:
    return await at_once(buyer.insists(api, key=key) for buyer, key in zip(crowd, keys, strict=True))


async def assert_all_paid_once(system: System, goods: Goods, crowd: Sequence[Buyer]) -> None:
    await system.quiet()
    await assert_each_paid_once(system, crowd)
    assert await levels_of(system, goods.sku) == {goods.sku: Level(len(crowd), len(crowd), 0)}
    await assert_books_balance(system)


async def test_postgres_crashes_and_comes_back(system: System, api: Api, servers: Servers) -> None:
    goods, crowd, keys = await crowd_of(api)
    async with watched(api) as seen:
        async with system.locked(BOOKED):
            buying = asyncio.gather(everybody_insists(api, crowd, keys))
            await system.stuck(least=CROWD)
            await asyncio.to_thread(servers.crash_postgres)
        await system.look_again()
        [answers] = await buying
    assert {outcome(answer) for answer in answers} == {SOLD}
    assert seen.ready["not_ready"]
    await assert_all_paid_once(system, goods, crowd)


async def test_every_session_is_ended_again_and_again(system: System, api: Api) -> None:
    goods, crowd, keys = await crowd_of(api)
    async with watched(api):
        async with system.locked(BOOKED):
            buying = asyncio.gather(everybody_insists(api, crowd, keys))
            await system.stuck(least=CROWD)
            assert await system.admin.fetchval(EVERY_SESSION) >= CROWD
        for _ in range(10):
            await system.admin.fetchval(EVERY_SESSION)
            await asyncio.sleep(0.05)  # the pace of the storm
        [answers] = await buying
    assert {outcome(answer) for answer in answers} == {SOLD}
    await assert_all_paid_once(system, goods, crowd)


async def test_more_requests_than_connections_wait_for_a_slow_database(system: System, api: Api) -> None:
    def product() -> dict[str, object]:
        slug = f"stool-{secrets.token_hex(6)}"
        prices = [{"list_price": {"amount": 100, "currency": "USD"}}]
        return {"title": "Stool", "slug": slug, "variants": [{"sku": slug.upper(), "prices": prices}]}

    wanted = [product() for _ in range(REQUESTS)]

    async def create(product: dict[str, object]) -> httpx.Response:
        return await api.client.post("/v1/products", json=product, headers=api.shop.admin)

    async with watched(api) as seen:
        async with system.locked(VARIANTS):
            answers = await at_once(create(product) for product in wanted)
        again = await at_once(create(product) for product in wanted)
    assert_refused_well(answers)
    assert {outcome(answer) for answer in answers} == {(503, "busy"), (503, "database_unavailable")}
    assert set(seen.ready) == {"ready"}
    refused = [answer for answer in again if not answer.is_success]
    assert_refused_well(refused)
    assert {answer.status_code for answer in await at_once(create(product) for product in wanted)} <= {201, 409}
    sold = "select count(*) from catalog.product where slug = any($1)"
    assert await system.admin.fetchval(sold, [product["slug"] for product in wanted]) == REQUESTS


async def test_postgres_hangs_and_goes_on(system: System, api: Api, servers: Servers) -> None:
    goods, crowd, keys = await crowd_of(api)
    async with watched(api) as seen:
        servers.signal_postgres(signal.SIGSTOP)
        try:
            answers = await at_once(buyer.completes(api, key=key) for buyer, key in zip(crowd, keys, strict=True))
            await until(lambda: was(seen, "not_ready"))
        finally:
            servers.signal_postgres(signal.SIGCONT)
        again = await everybody_insists(api, crowd, keys)
    assert_refused_well(answers)
    assert {answer.status_code for answer in answers} == {503}
    assert {outcome(answer) for answer in again} == {SOLD}
    await assert_all_paid_once(system, goods, crowd)


async def test_valkey_hangs_dies_and_comes_back(system: System, api: Api, servers: Servers) -> None:
    """Nobody who buys notices: without it, Tenon is degraded."""
    goods, crowd, keys = await crowd_of(api)
    half = CROWD // 2
    async with watched(api) as seen:
        os.kill(servers.valkey.pid, signal.SIGSTOP)
        answers = await everybody_insists(api, crowd[:half], keys[:half])
        await until(lambda: was(seen, "degraded"))
        os.kill(servers.valkey.pid, signal.SIGKILL)
        answers += await everybody_insists(api, crowd[half:], keys[half:])
        await asyncio.to_thread(servers.restart_valkey)
    assert {outcome(answer) for answer in answers} == {SOLD}
    assert {answer.status_code for answer in seen.answers} == {200}
    assert set(seen.ready) == {"degraded", "ready"}
    await assert_all_paid_once(system, goods, crowd)


async def was(seen: Seen, status: str) -> bool:
    return seen.ready[status] > 0


async def insisted(api: Api, method: str, path: str, body: object, **headers: str) -> httpx.Response:
    """Asked again for as long as the answer invites to."""

    async def ask() -> httpx.Response | None:
        answer = await api.client.request(method, path, json=body, headers=headers)
        return None if not answer.is_success and answer.json()["retryable"] else answer

    return await until(ask, within_s=PATIENCE_S)


async def buys(api: Api, goods: Goods) -> Buyer:
    """A customer from the first to the last click, who is not put off."""
    begun = (await insisted(api, "POST", "/v1/carts", {"currency": "USD"})).json()
    who, path = {"Cart-Token": begun["token"]}, f"/v1/carts/{begun['cart']['id']}"
    email = f"buyer.{secrets.token_hex(6)}@example.org"
    filled = await insisted(api, "PATCH", path, {"email": email, "shipping_address": ADDRESS}, **who, **{"If-Match": '"1"'})
    assert filled.status_code in (200, 412), filled.text  # stale: it had happened, and its answer was lost
    item = {"variant_id": goods.variant_id, "quantity": 1}
    cart = await insisted(api, "POST", f"{path}/items", item, **who, **{"Idempotency-Key": secrets.token_hex(8)})
    assert cart.status_code == 201, cart.text
    customer = Buyer(who, email, cart.json())
    assert outcome(await customer.insists(api)) == SOLD
    return customer


@pytest.mark.soak
async def test_customers_go_on_buying_while_everything_fails_in_turn(system: System, api: Api, servers: Servers) -> None:
    goods, over = await api.shop.goods(10_000), asyncio.Event()
    crowd: list[Buyer] = []

    async def customer() -> None:
        while not over.is_set():
            crowd.append(await buys(api, goods))

    async def hang() -> None:
        servers.signal_postgres(signal.SIGSTOP)
        await asyncio.sleep(3)  # the length of the outage
        servers.signal_postgres(signal.SIGCONT)

    async def crash() -> None:
        await asyncio.to_thread(servers.crash_postgres)
        await system.look_again()

    async def end_sessions() -> None:
        for _ in range(20):
            await system.admin.fetchval(EVERY_SESSION)
            await asyncio.sleep(0.05)  # the pace of the storm

    async def kill_valkey() -> None:
        os.kill(servers.valkey.pid, signal.SIGKILL)
        await asyncio.to_thread(servers.restart_valkey)

    async with watched(api) as seen, asyncio.TaskGroup() as group:
        for _ in range(CROWD):
            group.create_task(customer())
        for fail in [crash, end_sessions, hang, kill_valkey] * 4:
            await fail()
            await until(lambda: recovered(api))
        over.set()
    assert seen.ready["not_ready"]
    await system.quiet()
    await assert_each_paid_once(system, crowd)
    assert await levels_of(system, goods.sku) == {goods.sku: Level(10_000, len(crowd), 0)}
    await assert_books_balance(system)


async def recovered(api: Api) -> bool:
    answer = await api.client.get("/health/ready")
    return answer.status_code == 200 and answer.json()["status"] == "ready"
