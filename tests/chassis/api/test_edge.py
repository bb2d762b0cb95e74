"""What every request goes through: trace, limits, host, version, CORS, caller, deadline, headers, the log line."""

import asyncio
from typing import Any

import pytest

from shared.api.middleware import EdgeOptions
from shared.api.tracing import begin_trace
from shared.domain.context import Context
from tests.chassis.api.tiny import SHELF, Tiny, bearer, tiny

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_every_answer_carries_the_security_headers(app: Tiny) -> None:
    for path in ("/v1/shelves", "/v1/nowhere", "/v1/boxes/fail?how=crash", "/health/live", "/openapi.json"):
        headers = (await app.client.get(path)).headers
        assert headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "server-timing" not in headers


async def test_nothing_that_was_authenticated_or_refused_may_be_stored(app: Tiny) -> None:
    assert (await app.client.get("/v1/shelves")).headers["cache-control"] == "no-cache"
    assert (await app.client.get("/v1/shelves", headers=bearer("manager"))).headers["cache-control"] == "no-store"
    assert (await app.client.get("/v1/shelves", headers={"Cart-Token": "c" * 30})).headers["cache-control"] == "no-store"
    assert (await app.client.get("/v1/nowhere")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("sent", "continued"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", True),
        (f"01-{TRACE}-00f067aa0ba902b7-01-future", True),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", False),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", False),
        (f"00-{TRACE}-00f067aa0ba902b7-01\n", False),
        ("nonsense", False),
    ],
)
async def test_a_valid_trace_is_continued_and_another_begun(app: Tiny, sent: str, continued: bool) -> None:
    trace_id = (await app.client.get("/v1/shelves", headers={"traceparent": sent})).headers["trace-id"]
    assert (trace_id == TRACE) is continued
    assert len(trace_id) == 32


class Served:
    """Whom spans were begun for."""

    def __init__(self) -> None:
        self.callers: list[str | None] = []
        self.ended: list[tuple[str | None, int]] = []

    def serve(self, context: Context, caller: str | None, method: str, path: str) -> "Served":
        self.callers.append(caller)
        return self

    def end(self, route: str | None, status: int) -> None:
        self.ended.append((route, status))


@pytest.mark.parametrize(("ratio", "own"), [(0.0, 0), (1.0, 1)])
async def test_the_caller_decides_what_is_sampled_and_the_ratio_where_there_is_none(ratio: float, own: int) -> None:
    served, sampled = Served(), f"00-{TRACE}-00f067aa0ba902b7-01"
    async with tiny(EdgeOptions(spans=lambda: served, trace_ratio=ratio)) as app:
        await app.client.get("/v1/shelves", headers={"traceparent": sampled})
        await app.client.get("/v1/shelves", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-00"})
        await app.client.get("/v1/boxes/fail?how=crash")
    assert served.callers == [sampled, None][: 1 + own]
    assert served.ended == [("/v1/shelves", 200), ("/v1/boxes/fail", 500)][: 1 + own]


@pytest.mark.parametrize(("ratio", "expected"), [(0.0, 0), (0.25, 250), (1.0, 1000)])
def test_about_the_ratio_of_new_traces_is_sampled(ratio: float, expected: int) -> None:
    assert abs(sum(begin_trace(None, 1.0, ratio).sampled for _ in range(1000)) - expected) <= (100 if 0 < ratio < 1 else 0)


async def test_the_api_version_is_echoed_and_an_unknown_one_refused(app: Tiny) -> None:
    current = (await app.client.get("/v1/shelves")).headers["api-version"]
    same = await app.client.get("/v1/shelves", headers={"Api-Version": current})
    assert (same.status_code, same.headers["api-version"]) == (200, current)
    for unknown in ("1999-01-01", "latest", ""):
        response = await app.client.get("/v1/shelves", headers={"Api-Version": unknown})
        assert (response.status_code, response.json()["code"]) == (400, "unknown_api_version")


async def test_headers_of_more_than_sixteen_kibibytes_are_refused(app: Tiny) -> None:
    for request in (
        app.client.get("/v1/shelves", headers={"X-Padding": "x" * 16_384}),
        app.client.get(f"/v1/shelves?title={'x' * 16_384}"),
    ):
        response = await request
        assert (response.status_code, response.json()["code"]) == (431, "headers_too_large")


@pytest.mark.parametrize("name", ["Authorization", "Cart-Token", "Host", "Api-Version", "Content-Length", "Traceparent", "If-Match"])
async def test_a_header_that_decides_something_is_sent_once(app: Tiny, name: str) -> None:
    response = await app.client.get("/v1/shelves", headers=[(name, "5"), (name, "6")])
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "repeated"


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer  manager", "Basic bWFuYWdlcjo=", "Bearer manager manager", "manager", f"Bearer {'x' * 5000}"]
)
async def test_a_credential_of_the_wrong_form_is_refused_everywhere(app: Tiny, authorization: str) -> None:
    response = await app.client.get("/v1/shelves", headers={"Authorization": authorization})
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("token", ["short", "x" * 201, "with space in the middle of it", "semi;colon;semi;colon;semi"])
async def test_a_cart_token_of_the_wrong_form_is_refused(app: Tiny, token: str) -> None:
    assert (await app.client.get("/v1/shelves", headers={"Cart-Token": token})).status_code == 401


async def test_a_login_wins_over_a_cart_token_and_headers_of_proxies_mean_nothing(app: Tiny) -> None:
    spoofed = {
        "X-User-Id": "usr_admin",
        "X-Forwarded-User": "admin",
        "X-Original-Url": "/v1/boxes/staff",
        "X-Http-Method-Override": "DELETE",
    }
    both = await app.client.get("/v1/boxes/echo", headers=bearer("customer", **{"Cart-Token": "c" * 30}))
    assert both.json()["principal"] == "user:usr_customer"
    assert (await app.client.get("/v1/boxes/echo", headers=spoofed)).json()["principal"] == "anonymous:"
    cart = (await app.client.get("/v1/boxes/echo", headers={"Cart-Token": "c" * 30})).json()["principal"]
    assert cart.startswith("cart:")
    assert "ccc" not in cart


async def test_only_named_hosts_are_answered_for_except_to_probes() -> None:
    async with tiny(EdgeOptions(hosts=["shop.example"])) as app:
        for host, status in (("shop.example", 200), ("SHOP.example:443", 200), ("evil.example", 400), ("shop.example.evil.example", 400)):
            assert (await app.client.get("/v1/shelves", headers={"Host": host})).status_code == status, host
        assert (await app.client.get("/health/live", headers={"Host": "10.0.0.7:8000"})).status_code == 200


async def test_a_path_with_a_control_character_is_refused_and_starts_no_header(app: Tiny) -> None:
    response = await app.client.get("/v1/shelves/%0d%0aSet-Cookie:%20a=b")
    assert response.status_code == 400
    assert "set-cookie" not in response.headers
    assert (await app.client.get("/v1/shelves/a%00b")).status_code == 400


async def test_without_origins_no_web_page_of_another_origin_may_read(app: Tiny) -> None:
    response = await app.client.get("/v1/shelves", headers={"Origin": "https://web.example"})
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_an_exact_origin_may_read_and_ask_first() -> None:
    async with tiny(EdgeOptions(origins=["https://web.example"])) as app:
        allowed = await app.client.get("/v1/shelves", headers={"Origin": "https://web.example"})
        assert allowed.headers["access-control-allow-origin"] == "https://web.example"
        assert allowed.headers["vary"] == "Origin"
        asked = {"Origin": "https://web.example", "Access-Control-Request-Method": "PATCH"}
        preflight = await app.client.options("/v1/shelves", headers=asked)
        assert preflight.status_code == 204
        assert "PATCH" in preflight.headers["access-control-allow-methods"]
        assert "If-Match" in preflight.headers["access-control-allow-headers"]
        refused = await app.client.post("/v1/shelves", json={}, headers={"Origin": "https://web.example"})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://web.example")
        for origin in ("https://web.example.evil.example", "http://web.example", "null", ""):
            other = await app.client.get("/v1/shelves", headers={"Origin": origin})
            assert "access-control-allow-origin" not in other.headers
            assert other.headers["vary"] == "Origin"


async def test_one_line_tells_of_a_request_and_keeps_its_contents_to_itself(app: Tiny, lines) -> None:
    headers = bearer("manager", Cookie="sid=verysecret", **{"Idempotency-Key": "keysecret"})
    response = await app.client.post("/v1/shelves", json=SHELF | {"title": "bodysecret"}, headers=headers)
    await app.client.get(response.headers["location"])
    await app.client.get("/v1/shelves?title=querysecret")
    await app.client.get("/v1/shelves/shf_0199f3a27c5e7d10b4c8a1f2e3d4c5b6")
    await app.client.get("/v1/none/of/these")
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["route"], line["status"]) for line in requests] == [
        ("POST", "/v1/shelves", 201),
        ("GET", "/v1/shelves/{shelf_id}", 200),
        ("GET", "/v1/shelves", 200),
        ("GET", "/v1/shelves/{shelf_id}", 404),
        ("GET", "(unmatched)", 404),
    ]
    assert requests[0]["trace_id"] == response.headers["trace-id"]
    assert requests[0]["principal"] == "user:usr_manager"
    assert {"sql", "sql_ms", "ms"} <= requests[0].keys()
    assert "secret" not in repr(lines)


async def test_development_shows_where_the_time_went() -> None:
    async with tiny(EdgeOptions(development=True)) as app:
        timing = (await app.client.get("/v1/shelves")).headers["server-timing"]
        assert timing.startswith("total;dur=")
        assert 'desc="0 statements"' in timing


async def test_a_request_ends_at_its_deadline(lines) -> None:
    async with tiny(EdgeOptions(deadline_s=0.05)) as app:
        response = await app.client.get("/v1/boxes/fail?how=hang")
        assert (response.status_code, response.json()["code"]) == (503, "deadline_exceeded")
        assert response.headers["retry-after"] == "1"
        assert app.boxes.cancelled == 1


async def test_a_cancelled_request_is_cancelled_within_and_logged(app: Tiny, lines) -> None:
    task = asyncio.create_task(app.client.get("/v1/boxes/fail?how=hang"))
    await app.boxes.entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert app.boxes.cancelled == 1
    assert [line["status"] for line in lines if line["event"] == "request"] == [499]


async def test_a_client_that_leaves_before_its_body_is_complete_starts_nothing(app: Tiny, lines) -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"slug":', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": "/v1/shelves",
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer manager"), (b"content-type", b"application/json")],
    }
    await app.app(scope, receive, send)
    assert [line["status"] for line in lines if line["event"] == "request"] == [499]
    assert not app.shelves.rows
