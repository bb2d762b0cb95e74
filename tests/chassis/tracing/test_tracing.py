"""A purchase is one trace from the request to its last consequence; without a collector there is nothing of all that."""

import secrets
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
import redis.asyncio
import wrapt
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from entrypoints.container import Root
from shared.domain.context import Context, begin
from shared.domain.saga import Waiting
from shared.infra import tracing
from shared.infra.config import Settings
from tests.support import application
from tests.support.collector import collector, spans_in
from tests.support.shop import Shop

Settle = Callable[[], Awaitable[None]]


class Asleep(msgspec.Struct):
    """What a saga waits with."""


@pytest.fixture(scope="module")
def shop(client: httpx.AsyncClient, container: Root) -> Shop:
    return Shop(client, container)


@pytest.fixture
def recorded() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    with tracing.recording(SimpleSpanProcessor(exporter)):
        yield exporter


def caller(*, sampled: bool = True) -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-{'01' if sampled else '00'}"


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def wrapped() -> set[str]:
    calls: list[Any] = [asyncpg.Connection.fetch, asyncpg.prepared_stmt.PreparedStatement.fetch, redis.asyncio.Redis.execute_command]
    return {call.__qualname__ for call in calls if isinstance(call, wrapt.BoundFunctionWrapper)}


def in_trace(recorded: InMemorySpanExporter, trace_id: str) -> list[ReadableSpan]:
    return [span for span in recorded.get_finished_spans() if span.context is not None and span.context.trace_id == int(trace_id, 16)]


def named(spans: list[ReadableSpan], name: str) -> ReadableSpan:
    [span] = [span for span in spans if span.name == name]
    return span


def below(span: ReadableSpan, spans: list[ReadableSpan]) -> list[ReadableSpan]:
    return [each for each in spans if each.parent is not None and span.context is not None and each.parent.span_id == span.context.span_id]


async def test_a_purchase_is_one_trace_from_the_request_through_the_saga_to_the_mail(
    shop: Shop, settle: Settle, recorded: InMemorySpanExporter
) -> None:
    ada, goods, traceparent = await shop.member(), await shop.goods(stock=5), caller()
    cart = await shop.cart(ada, (goods, 2))
    await settle()
    answer = await shop.complete({**ada, "traceparent": traceparent}, cart)
    assert answer.status_code == 201, answer.text
    await settle()

    _, trace_id, caller_id, _ = traceparent.split("-")
    assert answer.headers["trace-id"] == trace_id
    spans = in_trace(recorded, trace_id)
    request = named(spans, "POST /v1/carts/{cart_id}/complete")
    assert (request.kind, request.parent and request.parent.span_id) == (SpanKind.SERVER, int(caller_id, 16))
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": "/v1/carts/{cart_id}/complete",
        "url.path": f"/v1/carts/{cart['id']}/complete",
        "http.response.status_code": 201,
    }
    assert {"select", "BEGIN", "COMMIT"} <= {span.name for span in below(request, spans)}

    authorize = named(spans, "orders.complete_cart authorize")
    assert authorize in below(request, spans)
    authorized = named(spans, "process payments.payment_authorized")
    assert authorized in below(authorize, spans)
    assert "SAVEPOINT" in {span.name for span in below(authorized, spans)}
    mailed = named(spans, "process orders.order_paid")
    assert mailed in below(named(spans, "orders.complete_cart finish"), spans)
    assert attributes(mailed)["messaging.consumer.group.name"] == "notifications.orders"


async def test_a_task_is_on_the_trace_of_what_enqueued_it(shop: Shop, settle: Settle, recorded: InMemorySpanExporter) -> None:
    ada, goods, traceparent = shop.customer(), await shop.goods(stock=1), caller()
    waiting = await shop.complete(ada, await shop.cart(ada, (goods, 1)), "pm_card_3ds")
    assert waiting.status_code == 202, waiting.text
    page = waiting.json()["action_url"]
    answered = await shop.client.post(page, json={"approve": True}, headers={**ada, "traceparent": traceparent})
    assert answered.is_success, answered.text
    await settle()
    spans = in_trace(recorded, traceparent.split("-")[1])
    assert named(spans, "run payments.test_provider_webhook").kind is SpanKind.CONSUMER


async def test_a_batch_is_linked_to_the_traces_of_its_events_and_part_of_none(
    shop: Shop, settle: Settle, recorded: InMemorySpanExporter
) -> None:
    callers = [caller(), caller(), caller(sampled=False)]
    for traceparent in callers:
        ada, goods = shop.customer(), await shop.goods(stock=1)
        await shop.complete({**ada, "traceparent": traceparent}, await shop.cart(ada, (goods, 1)))
    await settle()
    [batch] = [span for span in recorded.get_finished_spans() if span.name == "receive orders.payments"]
    traces = [int(traceparent.split("-")[1], 16) for traceparent in callers]
    assert {link.context.trace_id for link in batch.links} == set(traces[:2])
    assert batch.parent is None
    assert batch.context is not None
    assert batch.context.trace_id not in traces


async def test_what_is_not_sampled_makes_no_span(shop: Shop, settle: Settle, container: Root, recorded: InMemorySpanExporter) -> None:
    traceparent = caller(sampled=False)
    answer = await shop.client.post("/v1/carts", json={"currency": "USD"}, headers={**shop.customer(), "traceparent": traceparent})
    assert answer.headers["trace-id"] == traceparent.split("-")[1]
    await settle()
    await container.shared.redis().ping()
    assert recorded.get_finished_spans() == ()


async def test_no_value_gets_into_a_span_not_even_in_the_message_of_an_error(
    shop: Shop, container: Root, recorded: InMemorySpanExporter
) -> None:
    value, traceparent = f"treasure-{secrets.token_hex(8)}", caller()
    headers = {**shop.admin, "traceparent": traceparent}
    product = {"title": value, "slug": value, "variants": [{"sku": value.upper()}]}
    assert (await shop.client.post("/v1/products", json=product, headers=headers)).status_code == 201
    assert (await shop.client.post("/v1/products", json=product, headers=headers)).status_code == 409
    assert (await shop.client.get(f"/v1/stock_levels?sku={value.upper()}", headers=headers)).status_code == 200
    begin(Context(traceparent=traceparent))
    with tracing.traced("remember"):
        await container.shared.redis().set(value, value, px=1)

    spans = in_trace(recorded, traceparent.split("-")[1])
    assert [attributes(span)["db.query.text"] for span in spans if span.name == "SET"] == ["SET ? ? ? ?"]
    failed = [span for span in spans if attributes(span).get("error.type") == "UniqueViolationError"]
    assert failed
    assert all(span.status.status_code is StatusCode.ERROR and not span.events for span in failed)
    written = "".join(span.to_json() for span in spans)
    assert value not in written.lower()
    assert shop.admin["Authorization"].removeprefix("Bearer ") not in written


async def test_a_refusal_is_no_fault_of_the_server_and_a_path_without_a_route_is_no_name(
    client: httpx.AsyncClient, recorded: InMemorySpanExporter
) -> None:
    await client.get("/nowhere/at/all", headers={"traceparent": caller()})
    [span] = recorded.get_finished_spans()
    assert (span.name, span.status.status_code) == ("GET", StatusCode.UNSET)
    assert attributes(span)["http.response.status_code"] == 404


def test_a_saga_that_falls_asleep_has_not_failed(recorded: InMemorySpanExporter) -> None:
    begin(Context(traceparent=caller()))
    with pytest.raises(Waiting), tracing.traced("wait"):
        raise Waiting(Asleep(), timedelta(0))
    [span] = recorded.get_finished_spans()
    assert span.status.status_code is StatusCode.UNSET


def test_without_a_collector_nothing_is_wrapped_and_with_one_only_as_long_as_it_is_used() -> None:
    assert tracing.active() is None
    assert wrapped() == set()
    with tracing.recording(SimpleSpanProcessor(InMemorySpanExporter())):
        assert wrapped() == {"Connection.fetch", "PreparedStatement.fetch", "Redis.execute_command"}
    assert tracing.active() is None
    assert wrapped() == set()


def test_without_a_collector_nothing_of_it_is_even_imported() -> None:
    told = "import sys, entrypoints.http, entrypoints.worker; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()
    assert "shared.infra.tracing" in imported
    assert {"opentelemetry.sdk.trace", "opentelemetry.instrumentation", "opentelemetry.exporter"} & set(imported) == set()


async def test_the_last_spans_are_sent_when_the_process_ends(settings: Settings) -> None:
    traceparent = caller()
    with collector() as (endpoint, received):
        exporting = msgspec.structs.replace(settings, otlp_endpoint=endpoint)
        async with application.composed(exporting) as root, application.client(root) as client:
            await client.get("/v1/products", headers={"traceparent": traceparent})
    spans = spans_in(received)
    assert {span.trace_id.hex() for span in spans} == {traceparent.split("-")[1]}
    assert {"GET /v1/products", "cache catalog.front", "with"} <= {span.name for span in spans}


async def test_a_collector_that_is_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with collector() as (endpoint, _):
        gone = endpoint
    monkeypatch.setattr(tracing, "FLUSH_S", 0.01)
    begin(Context(traceparent=caller()))
    async with tracing.exporting(gone):
        with tracing.traced("work"):
            pass
    assert tracing.active() is None
    assert "Shutdown in progress" in caplog.text or "Failed to export" in caplog.text
