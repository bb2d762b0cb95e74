"""What Prometheus is told of requests, of the process and of the business, over a port of its own."""

import asyncio

import httpx
import pytest

from shared.domain.ids import new_id
from tests.chassis.metrics.conftest import Measured, Scrape

REQUESTS = "tenon_http_requests_total"


async def test_a_request_is_counted_by_method_template_and_status_with_its_time_and_its_statements(measured: Measured):
    for _ in range(3):
        assert (await measured.client.get(f"/v1/products/{new_id('prd')}")).status_code == 404
    scrape = await measured.scrape()
    route = {"method": "GET", "route": "/v1/products/{product_id}"}
    assert scrape.get(REQUESTS, **route, status="404") == 3
    assert scrape.get("tenon_http_request_duration_seconds_count", **route) == 3
    assert scrape.get("tenon_http_request_duration_seconds_bucket", **route, le="+Inf") == 3
    assert scrape.get("tenon_http_request_sql_statements_sum", **route) == 3
    in_sql, altogether = (scrape.value(f"tenon_http_request_{of}", **route) for of in ("sql_seconds_total", "duration_seconds_sum"))
    assert 0 < in_sql <= altogether


async def test_whatever_path_and_method_somebody_invents_is_one_series(measured: Measured):
    before = await measured.scrape()
    for path in ("/wp-admin", "/v1/nowhere", "/v1/nowhere/a%20b", "/.env", f"/v1/products/{new_id('prd')}"):
        await measured.client.request("BREW", path)
    scrape = await measured.scrape()
    assert scrape.label(REQUESTS, "method") - before.label(REQUESTS, "method") == {"_OTHER"}
    assert scrape.label(REQUESTS, "route") - before.label(REQUESTS, "route") <= {"(unmatched)"}
    assert scrape.get(REQUESTS, method="_OTHER", route="(unmatched)", status="404") == 4


async def test_refusals_and_replays_are_counted_by_what_the_client_is_told(measured: Measured):
    shop = measured.shop
    goods, manager = await shop.goods(stock=0), shop.staff("manager")
    for quantity, status in ((3, 201), (3, 201), (4, 422)):
        movement = {"kind": "received", "sku": goods.sku, "quantity": quantity, "reason": "delivery"}
        answer = await measured.client.post("/v1/stock_movements", json=movement, headers={**manager, "Idempotency-Key": goods.sku})
        assert answer.status_code == status, answer.text
    scrape = await measured.scrape()
    assert scrape.get("tenon_http_idempotent_replays_total") == 1
    assert scrape.get("tenon_http_problems_total", code="idempotency_key_reused") == 1


async def test_what_the_modules_declare_of_the_business_is_counted_when_it_is_committed(measured: Measured):
    shop, before = measured.shop, await measured.scrape()
    goods, customer = await shop.goods(stock=9), shop.customer()
    for _ in range(2):
        await shop.order(customer, (goods, 1))
    declined = await shop.complete(customer, await shop.cart(customer, (goods, 1)), "pm_card_declined")
    assert declined.status_code == 402, declined.text
    await measured.settle()
    scrape = await measured.scrape()

    def grown(name: str, **labels: str) -> float:
        return scrape.value(name, **labels) - (before.get(name, **labels) or 0.0)

    assert grown("tenon_orders_placed_total", currency="USD") == 2
    assert grown("tenon_orders_paid_total", currency="USD") == 2
    assert grown("tenon_payments_declined_total", operation="authorize") == 1


async def test_the_process_tells_of_its_connections_its_loops_and_itself(measured: Measured):
    await measured.client.get("/v1/products")
    scrape = await measured.scrape()
    opened, idle = (scrape.value(f"tenon_db_connections_{which}", role="tenon_catalog") for which in ("open", "idle"))
    assert opened >= idle >= 1
    assert scrape.get("tenon_db_connections_limit") == measured.container.settings().db_connections
    assert (scrape.get("tenon_db_connections_waiting"), scrape.get("tenon_db_connections_refused_total")) == (0, 0)
    assert {"wake-up", "metrics", "event-loop lag"} <= scrape.label("tenon_loop_crashes_total", "loop")
    assert scrape.value("process_resident_memory_bytes") > 10_000_000
    assert scrape.types["tenon_event_loop_lag_seconds"] == "histogram"


async def test_names_follow_the_conventions_of_prometheus_and_everything_is_explained(measured: Measured):
    scrape = await measured.scrape()
    assert [name for name, kind in scrape.types.items() if kind == "counter" and f"{name}_total" not in scrape.text] == []
    assert [name for name in scrape.types if not name.startswith(("tenon_", "process_", "python_"))] == []
    assert [name for name in scrape.types if f"# HELP {name}" not in scrape.text] == []


async def test_nothing_but_a_scrape_is_answered_there_and_nothing_of_it_elsewhere(measured: Measured):
    assert (await measured.client.get("/metrics")).status_code == 404
    async with httpx.AsyncClient(base_url=measured.address) as prometheus:
        assert (await prometheus.get("/v1/products")).status_code == 404
        assert (await prometheus.post("/metrics")).status_code == 404
        assert (await prometheus.get("/metrics?collect[]=x")).status_code == 200


@pytest.mark.parametrize("nonsense", [b"\r\n\r\n", b"GET\r\n\r\n", b"\xff\xfe" * 9 + b"\r\n\r\n", b"x" * 40_000, b""])
async def test_whoever_talks_nonsense_to_it_is_let_go_and_the_next_one_is_answered(measured: Measured, nonsense: bytes):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(measured.address.rpartition(":")[2]))
    writer.write(nonsense)
    writer.write_eof()
    assert b" 200 " not in await reader.read()
    writer.close()
    assert (await measured.scrape()).get("tenon_loop_crashes_total", loop="metrics") == 0


async def test_scrapes_at_the_same_time_are_all_answered(measured: Measured):
    scrapes: list[Scrape] = await asyncio.gather(*(measured.scrape() for _ in range(10)))
    assert all(scrape.types for scrape in scrapes)
