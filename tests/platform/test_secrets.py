"""What is secret or personal goes in by requests, settings and errors, and comes out in no log, trace, metric, event or refusal."""

import asyncio
import io
import logging
import secrets
import warnings
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg
import httpx
import msgspec
import pytest
import structlog
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from entrypoints.container import Root
from entrypoints.development.children import free_port
from entrypoints.process import build_worker
from modules.payments.domain.ports import Charge
from shared.domain.ids import new_id
from shared.infra import tracing
from shared.infra.config import ConfigurationError, Settings, load
from shared.infra.secrets import role_password
from shared.infra.supervisor import Loop, supervised
from shared.infra.telemetry import configure_logging
from tests.chassis.waiting import until
from tests.support import application
from tests.support.shop import ADDRESS, Shop
from tests.support.tokens import bearer


@dataclass
class Told:
    """Everything that the system tells anybody, and what of it was planted."""

    logs: io.StringIO = field(default_factory=io.StringIO)
    spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    refusals: list[str] = field(default_factory=list)
    planted: dict[str, str] = field(default_factory=dict)
    metrics: str = ""
    rows: str = ""

    def plant(self, what: str, form: str = "{}") -> str:
        """A value that is nowhere else, in the `form` that its place wants."""
        return form.format(self.know(what, f"planted{secrets.token_hex(12)}"))

    def know(self, what: str, value: str) -> str:
        """A secret that the system itself has made."""
        assert len(value) >= 8
        self.planted[what] = value
        return value

    async def hear(self, answer: httpx.Response) -> None:
        if answer.is_error:
            self.refusals.append(f"{answer.headers} {answer.text}")

    def found_in(self, text: str) -> list[str]:
        return [what for what, value in self.planted.items() if value in text or quote(value, safe="") in text]


class Leaky:
    """`real`, some methods of which fail as careless code does: with what they know in the message."""

    def __init__(self, real: Any, **instead: Callable[..., Any]) -> None:
        self._real = real
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        return self._instead.get(name) or getattr(self._real, name)


def fail(secret: str) -> None:
    error = RuntimeError(f"no luck with {secret}")
    error.add_note(secret)
    raise ExceptionGroup(secret, [error]) from ValueError(secret)


@pytest.fixture(scope="module")
async def told(settings: Settings) -> AsyncIterator[Told]:
    """Everything that was told while everything was tried."""
    told = Told()
    root_logger = logging.getLogger()
    handlers, level = root_logger.handlers[:], root_logger.level
    configure_logging("json", "debug", told.logs)
    port = free_port()
    chosen = with_secrets(told, settings, port)
    root = Root(settings=chosen)
    make_leaky(told, root)
    with tracing.recording(SimpleSpanProcessor(told.spans)):
        async with application.client(root) as client:
            client.event_hooks["response"] = [httpx.Response.aread, told.hear]
            client.headers["traceparent"] = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
            await register(told, root, client)
            await buy(told, root, client)
            await ask_badly(told, root, client)
            await build_worker(root).drain()
            await crash(told)
            be_careless(told, chosen, client)
            async with httpx.AsyncClient() as prometheus:
                metrics = (await prometheus.get(f"http://127.0.0.1:{port}/metrics")).raise_for_status().text
    told.metrics, told.rows = metrics, await recorded(settings)
    yield told
    root_logger.handlers[:] = handlers
    root_logger.setLevel(level)
    logging.captureWarnings(False)


def with_secrets(told: Told, settings: Settings, port: int) -> Settings:
    told.know("root secret", settings.secret.reveal())
    told.know("database's password", role_password(settings.db_secret)("tenon_orders"))
    owner = urlsplit(settings.database_url)
    told.know("password in the database's URL", owner.password or "")
    redis = urlsplit(settings.redis_url)
    return msgspec.structs.replace(
        settings,
        metrics_port=port,
        mail_url=f"smtp://tenon:{told.plant('SMTP password')}@127.0.0.1:{free_port()}",
        redis_url=redis._replace(netloc=f":{told.plant('Redis password')}@{redis.hostname}:{redis.port}").geturl(),
    )


def make_leaky(told: Told, root: Root) -> None:
    in_request, in_delivery = told.plant("message of an error in a request"), told.plant("message of an error in a delivery")

    async def all_orders(*_: object) -> None:
        fail(in_request)

    async def ask(*_: object) -> None:
        await root.orders.database().fetchval("select ($1::text)::integer", told.plant("value that the database quotes"))

    async def bind(*_: object) -> None:
        await root.orders.database().fetchval("select $1::integer", told.plant("parameter of the wrong type"))

    root.orders.queries.override(Leaky(root.orders.queries(), orders=all_orders, order=ask, timeline=bind))
    renderer = root.notifications.renderer()

    def render(template: str, *more: Any) -> Any:
        if template.startswith("order"):
            fail(in_delivery)
        return renderer.render(template, *more)

    root.notifications.renderer.override(Leaky(renderer, render=render))
    provider = root.payments().provider
    scripted = provider()

    async def authorize(key: str, charge: Charge) -> Any:
        if "planted" in charge.payment_method:
            fail(charge.payment_method)
        return await scripted.authorize(key, charge)

    provider.override(Leaky(scripted, authorize=authorize))


async def register(told: Told, root: Root, client: httpx.AsyncClient) -> None:
    email, password = told.plant("e-mail address", "{}@example.org"), told.plant("password")
    name = told.plant("name of a person")
    weak = told.plant("weak password")
    assert (await client.post("/v1/users", json={"email": f"{weak}@example.org", "password": weak, "name": name})).is_error
    answer = await client.post("/v1/users", json={"email": email, "password": password, "name": name})
    assert answer.status_code == 202, answer.text
    await client.post("/v1/users", json={"email": told.plant("impossible address", "{}@"), "password": password, "name": name})
    user_id = await root.identity.database().fetchval("select id from account where email = $1", email)
    link = parse_qs(urlsplit(await root.identity.facade().verification_link(user_id, "task")).query)["token"][0]
    told.know("verification link's token", link)
    assert (await client.get("/v1/auth/verify", params={"token": link})).is_success
    assert (await client.post("/v1/auth/verify", json={"token": link})).is_success
    assert (await client.post("/v1/auth/verify", json={"token": told.plant("unknown link's token")})).is_error
    assert (await client.post("/v1/auth/login", json={"email": email, "password": told.plant("wrong password")})).is_error
    session = (await client.post("/v1/auth/login", json={"email": email, "password": password})).json()
    told.know("access token", session["access_token"])
    first = told.know("refresh token", session["refresh_token"])
    second = (await client.post("/v1/auth/refresh", json={"refresh_token": first})).json()
    told.know("next refresh token", second["refresh_token"])
    assert (await client.post("/v1/auth/refresh", json={"refresh_token": told.plant("unknown refresh token")})).is_error
    assert (await client.get("/v1/me", headers={"Authorization": f"Bearer {session['access_token']}"})).is_success


async def buy(told: Told, root: Root, client: httpx.AsyncClient) -> None:
    shop = Shop(client, root)
    goods, customer = await shop.goods(stock=5), await shop.member()
    told.know("bearer token", customer["Authorization"].removeprefix("Bearer "))
    await shop.order(customer, (goods, 1))
    for method, status in (("pm_card_declined", 402), (told.plant("payment method", "pm_{}"), 202)):
        key = told.plant(f"Idempotency-Key of a {status}")
        answer = await shop.complete(customer, await shop.cart(customer, (goods, 1)), method, key)
        assert answer.status_code == status, answer.text
    key, movement = told.plant("Idempotency-Key"), {"kind": "received", "sku": goods.sku, "reason": "delivery"}
    for quantity in (1, 1, 2):
        await client.post("/v1/stock_movements", json={**movement, "quantity": quantity}, headers={**shop.admin, "Idempotency-Key": key})
    guest = (await client.post("/v1/carts", json={"currency": "USD"})).json()
    path, token = f"/v1/carts/{guest['cart']['id']}", {"Cart-Token": told.know("cart's token", guest["token"])}
    address = {**ADDRESS, "name": told.plant("name on a parcel"), "line1": told.plant("street of a parcel")}
    body = {"email": told.plant("guest's e-mail address", "{}@example.org"), "shipping_address": address}
    assert (await client.patch(path, json=body, headers={**token, "If-Match": '"1"'})).is_success
    assert (await client.patch(path, json=body, headers={**token, "If-Match": '"1"'})).is_error
    assert (await client.get(path, headers={"Cart-Token": told.plant("another cart's token")})).is_error


async def ask_badly(told: Told, root: Root, client: httpx.AsyncClient) -> None:
    """Requests that are refused or fail, each with a secret where somebody may put one."""
    customer, order = bearer(root), f"/v1/orders/{new_id('ord')}"
    for path in ("/v1/orders", order, f"{order}/timeline"):
        answer = await client.get(path, headers=customer)
        assert answer.status_code == 500, f"{path}: {answer.text}"
    for headers in (
        {"Cookie": f"sid={told.plant('cookie')}"},
        {"Authorization": f"Bearer {told.plant('token that is none', 'eyJ{0}.{0}.{0}')}"},
        {"Authorization": f"Basic {told.plant('other credentials')}"},
        {"X-Api-Key": told.plant("API key")},
        {"Idempotency-Key": told.plant("malformed Idempotency-Key", "{} {{}}")},
        {"If-None-Match": told.plant("ETag")},
    ):
        await client.get("/v1/me", headers=headers)
    await client.get("/v1/products", params={"token": told.plant("token in the query")})
    await client.get("/v1/products", params={"limit": told.plant("value in the query"), "cursor": told.plant("cursor")})
    await client.get("/v1/products", params={"sort": told.plant("order in the query")}, headers={"Api-Version": told.plant("version")})
    await client.get("/v1/orders", params={"status": told.plant("filter in the query")}, headers=customer)
    secret = told.plant("value in a body")
    for content in (
        f'{{"email": "{secret}"',
        f'{{"email": ["{secret}"], "password": {{"x": "{secret}"}}}}',
        f'"{secret}"',
    ):
        answer = await client.post("/v1/auth/login", content=content, headers={"Content-Type": "application/json"})
        assert answer.is_client_error, answer.text
    await client.post("/v1/auth/login", content=secret, headers={"Content-Type": f"text/{secret}"})


async def crash(told: Told) -> None:
    """A loop, as those of the worker are."""
    crashes, in_loop = 0, told.plant("message of an error in a loop")

    async def run(stop: asyncio.Event) -> None:
        nonlocal crashes
        crashes += 1
        fail(in_loop)

    async def crashed() -> bool:
        return crashes > 0

    async with supervised([Loop("careless", run)]):
        await until(crashed)


def be_careless(told: Told, settings: Settings, client: httpx.AsyncClient) -> None:
    """Log whole objects, as one does while looking for a fault and forgets to remove."""
    log = structlog.get_logger()
    log.info("settings", settings=settings, also=[settings], url=settings.redis_url)
    log.warning("request", headers=dict(client.headers) | {"authorization": "Bearer " + told.plant("logged credential")})
    log.info("cursor", raw=told.plant("bytes").encode(), password=told.plant("logged password"))
    logging.getLogger("some.library").warning("connecting to %s", settings.mail_url)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"deprecated: {settings.redis_url}", stacklevel=1)
    with pytest.raises(ConfigurationError) as refused:
        load(
            {
                "TENON_SECRET": told.plant("short secret")[:20],
                "TENON_MAIL_URL": told.plant("unknown scheme", "smpt://x:{}@h"),
                "TENON_PORT": told.plant("port"),
            }
        )
    log.error("refused", faults=refused.value.faults, error=refused.value)
    told.refusals.append(str(refused.value))


async def recorded(settings: Settings) -> str:
    """Every event of every module, and everything that is kept of failures."""
    connection = await asyncpg.connect(settings.database_url)
    try:
        modules = [
            row[0] for row in await connection.fetch("select nspname from pg_namespace where to_regclass(nspname || '.event') is not null")
        ]
        rows = []
        for module in modules:
            for of in (
                "payload, headers from {}.event",
                "payload, headers, last_error from {}.task",
                "last_error, failure from {}.saga",
                "error from {}.saga_step",
            ):
                rows += await connection.fetch(f"select {of.format(module)}")
        return "\n".join(str(dict(row)) for row in rows)
    finally:
        await connection.close()


def test_twenty_secrets_and_more_were_planted(told: Told):
    assert len(set(told.planted.values())) >= 40


def test_none_is_in_the_logs(told: Told):
    assert told.logs.getvalue().count("\n") > 50
    assert told.found_in(told.logs.getvalue()) == []


def test_none_is_in_the_traces(told: Told):
    spans = told.spans.get_finished_spans()
    assert len(spans) > 100
    assert told.found_in("\n".join(span.to_json() for span in spans)) == []


def test_none_is_in_the_metrics(told: Told):
    assert "tenon_http_requests_total" in told.metrics
    assert told.found_in(told.metrics) == []


def test_none_is_in_an_event_or_in_what_is_kept_of_failures(told: Told):
    assert "orders.order_placed" not in told.rows
    assert "RuntimeError" in told.rows
    assert told.found_in(told.rows) == []


def test_none_is_in_a_refusal(told: Told):
    assert len(told.refusals) > 20
    assert told.found_in("\n".join(told.refusals)) == []
