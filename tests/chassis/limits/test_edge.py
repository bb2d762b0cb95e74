"""Rate limits as clients see them: whom a request is counted for, what its answer says, and what is never refused."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from entrypoints.container import Root, compose
from entrypoints.http import create_app
from shared.api.address import network_of
from shared.api.middleware import EdgeOptions
from shared.domain.limits import QUOTAS, Allowance, Ask
from shared.infra.config import Settings, load
from tests.chassis.api.tiny import SHELF, bearer, tiny
from tests.chassis.limits.wire import Wire
from tests.support import application

FIVE_WRITES = EdgeOptions(rate_scale=5 / QUOTAS["write"].amount)
HERE = "address:127.0.0.1"


class Heard:
    """Lets everybody through and notes who asked for what."""

    def __init__(self) -> None:
        self.asks: list[tuple[str, str, int]] = []

    async def take(self, asks: Sequence[Ask]) -> Allowance:
        self.asks += [(ask.quota.name, ask.caller, ask.quota.amount) for ask in asks]
        return Allowance(asks[0].quota, 1, 1, 0)


async def test_who_asks_too_often_is_refused_and_told_when_to_come_again():
    async with tiny(FIVE_WRITES) as app:
        answers = [await app.client.post("/v1/shelves", headers=bearer("manager"), content=b"{") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [415] * 5 + [429]
    assert [answer.headers["ratelimit"] for answer in answers[::4]] == ['"write";r=4;t=12', '"write";r=0;t=60']
    refused = answers[-1]
    assert refused.headers["ratelimit-policy"] == '"write";q=5;w=60'
    assert refused.headers["ratelimit"].startswith('"write";r=0;t=')
    assert 11 <= int(refused.headers["retry-after"]) <= 12
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert (problem["code"], problem["status"], problem["retryable"]) == ("rate_limited", 429, True)
    assert problem["retry_after"] == int(refused.headers["retry-after"])


async def test_refused_is_before_anything_of_the_request_is_read_or_done():
    async with tiny(FIVE_WRITES) as app:
        for _ in range(5):
            await app.client.post("/v1/shelves", headers=bearer("manager"), content=b"{")
        assert (await app.client.post("/v1/shelves", json=SHELF, headers=bearer("manager"))).status_code == 429
        assert not app.shelves.rows
        assert (await app.client.post("/v1/shelves", json=SHELF, headers=bearer("admin"))).status_code == 201


async def test_each_class_of_requests_is_counted_for_itself_and_everybody_for_themselves():
    heard = Heard()
    async with tiny(limits=heard) as app:
        await app.client.get("/v1/shelves")
        await app.client.get("/v1/shelves", headers=bearer("manager"))
        await app.client.post("/v1/shelves", headers=bearer("manager"), content=b"{")
        await app.client.get("/v1/nowhere")
    assert heard.asks == [("read", HERE, 1200), ("read", "user:usr_manager", 1200), ("write", "user:usr_manager", 300)]


async def test_a_guest_is_counted_by_cart_and_with_all_guests_of_the_address_since_anybody_can_invent_a_token():
    heard = Heard()
    async with tiny(limits=heard) as app:
        await app.client.get("/v1/shelves", headers={"Cart-Token": "c" * 30})
    (_, own, quota), (_, together, tenfold) = heard.asks
    assert own.startswith("cart:")
    assert "ccc" not in own
    assert (together, tenfold) == (f"guests:{HERE}", 10 * quota)


async def test_invented_cart_tokens_do_not_get_around_a_limit():
    async with tiny(FIVE_WRITES) as app:
        answers = [await app.client.post("/v1/boxes/open", headers={"Cart-Token": f"{number:030}"}) for number in range(60)]
    assert [answer.status_code for answer in answers].count(200) == 50


async def test_probes_are_never_refused():
    async with tiny(EdgeOptions(rate_scale=1 / 6000)) as app:
        answers = [await app.client.get(f"/health/{probe}") for probe in ("live", "ready", "startup") for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        assert not [answer for answer in answers if "ratelimit" in answer.headers]
        assert [(await app.client.get("/v1/shelves")).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "counted"),
    [
        (0, "198.51.100.9", "127.0.0.1"),
        (1, "198.51.100.9", "198.51.100.9"),
        (1, "10.9.9.9, 198.51.100.9", "198.51.100.9"),
        (2, "10.9.9.9, 198.51.100.9, 192.0.2.1", "198.51.100.9"),
        (2, "198.51.100.9", "127.0.0.1"),
        (1, None, "127.0.0.1"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "unknown", "unknown"),
        (1, "", "127.0.0.1"),
        (1, "198.51.100.9, ", "unknown"),
        (1, "x" * 5000, "unknown"),
    ],
)
async def test_the_address_is_what_our_outermost_proxy_saw(proxies: int, forwarded: str | None, counted: str):
    heard = Heard()
    async with tiny(EdgeOptions(proxies=proxies), limits=heard) as app:
        await app.client.get("/v1/shelves", headers={"X-Forwarded-For": forwarded} if forwarded is not None else {})
    assert heard.asks[0][1] == f"address:{counted}"


async def test_a_header_that_is_sent_twice_is_read_as_one_list():
    heard = Heard()
    async with tiny(EdgeOptions(proxies=1), limits=heard) as app:
        await app.client.get("/v1/shelves", headers=[("X-Forwarded-For", "10.9.9.9"), ("X-Forwarded-For", "198.51.100.9")])
    assert heard.asks[0][1] == "address:198.51.100.9"


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("[2001:db8:1:2::1]:443", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("_hidden", "unknown"),
        ("999.1.1.1", "unknown"),
    ],
)
def test_a_client_is_known_by_what_it_cannot_change_at_will(host: str, network: str):
    assert network_of(host) == network


@asynccontextmanager
async def shop(settings: Settings, scale: float, redis_url: str | None = None) -> AsyncIterator[tuple[httpx.AsyncClient, Root]]:
    """The whole application, as in a process of its own."""
    environ = application.environment_of(settings) | {"TENON_RATE_SCALE": str(scale)}
    own = load(environ | ({"TENON_REDIS_URL": redis_url} if redis_url else {}))
    async with application.composed(own) as root, application.client(root) as client:
        yield client, root


async def test_two_instances_of_the_application_count_together(settings: Settings):
    """5 log-ins for all from here, whichever of the two they come to; the account's own limit is another."""
    scale = 5 / QUOTAS["auth"].amount
    async with shop(settings, scale) as (one, root), shop(settings, scale) as (other, _):
        await root.shared.redis().flushdb()
        requests = [
            client.post("/v1/auth/login", json={"email": f"nobody{number}@example.org", "password": "wrong horse battery"})
            for number in range(10)
            for client in (one, other)
        ]
        statuses = [answer.status_code for answer in await asyncio.gather(*requests)]
    assert (statuses.count(401), statuses.count(429)) == (5, 15)


@pytest.mark.parametrize("path", ["/v1/auth/login", "/v1/users"])
async def test_an_account_is_limited_whoever_calls_and_however_it_is_written(settings: Settings, path: str):
    heard = Heard()
    root = compose(settings)
    root.shared.limits.override(heard)
    async with application.speaking_to(create_app(root)) as client:
        for email in ("Ada@Example.org", "ada@example.org"):
            body: dict[str, Any] = {"email": email, "password": "seven oak planks in rain"}
            await client.post(path, json=body | ({"name": "Ada", "locale": "en"} if path == "/v1/users" else {}))
    await application.close(root.shared)
    assert [(name, amount) for name, _, amount in heard.asks] == [("auth", 60_000), ("account", 10_000)] * 2
    assert heard.asks[1] == heard.asks[3]
    assert "ada" not in heard.asks[1][1]


async def test_without_redis_the_whole_application_still_limits_and_never_fails(settings: Settings, wire: Wire):
    async with shop(settings, 5 / QUOTAS["write"].amount, wire.url) as (client, _):
        wire.cut()
        statuses = [(await client.post("/v1/carts", json={"currency": "USD"})).status_code for _ in range(12)]
    assert statuses == [201] * 5 + [429] * 7


async def test_every_route_of_the_application_has_a_class_and_only_probes_have_none(client: httpx.AsyncClient):
    document = (await client.get("/openapi.json")).json()
    unlimited, documented = set(), 0
    for path, item in document["paths"].items():
        for operation in item.values():
            answers = operation["responses"]
            if "429" not in answers:
                unlimited.add(path)
                continue
            documented += 1
            for status, answer in answers.items():
                assert {"RateLimit", "RateLimit-Policy"} <= answer["headers"].keys(), (operation["operationId"], status)
            assert "Retry-After" in answers["429"]["headers"]
            assert "rate_limited" in answers["429"]["content"]["application/problem+json"]["examples"]
    assert unlimited == {"/health/live", "/health/ready", "/health/startup"}
    assert documented > 50
    assert (await client.get("/problems/rate_limited")).status_code == 200
