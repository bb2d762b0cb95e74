"""A call ends in time with an answer or an error that says what the target may have done, and tells nobody its secrets."""

import asyncio
import gzip
import logging
import traceback
from itertools import islice
from time import monotonic

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from structlog.testing import capture_logs

from shared.domain.context import Context, begin
from shared.domain.errors import Busy
from shared.domain.guard import OutboundInTransaction, hold, let_go
from shared.domain.outbound import AnswerRefused, CircuitOpen, DeadlineOver, Failing, Unanswered, Unreachable
from shared.infra import tracing
from shared.infra.http.breaker import BreakerPolicy
from shared.infra.http.client import TARGETS
from shared.infra.http.retries import RetryPolicy
from tests.chassis.http.conftest import AT_ONCE
from tests.chassis.http.service import Seen, failing, reply

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


class Hanging:
    """Does not answer while `may_answer` is not set."""

    def __init__(self):
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def __call__(self, _: Seen) -> bytes:
        self.asked.set()
        await self.may_answer.wait()
        return reply(200)


async def test_what_is_sent_and_what_comes_back(client, service):
    service.script(reply(201, b'{"id": 1}', X_Parcel="P1"))
    begin(Context(traceparent=TRACE))
    answer = await client.request(
        "POST", f"{service.url}/parcels?fast=1", body=b"{}", headers={"content-type": "application/json"}, key="k1"
    )

    assert (answer.status, answer.headers["x-parcel"], answer.body) == (201, "P1", b'{"id": 1}')
    sent = service.seen[0]
    assert (sent.method, sent.path, sent.body) == ("POST", "/parcels?fast=1", b"{}")
    expected = {"traceparent": TRACE, "idempotency-key": "k1", "content-type": "application/json", "accept-encoding": "identity"}
    assert expected.items() <= sent.headers.items()


async def test_a_refusal_is_an_answer(client, service):
    service.script(reply(404, b"no such parcel"), reply(409))
    assert (await client.request("GET", service.url)).body == b"no such parcel"
    assert (await client.request("PUT", service.url)).status == 409


async def test_never_inside_a_transaction(client, service):
    held = hold("tenon_shelf")
    with pytest.raises(OutboundInTransaction):
        await client.request("GET", service.url)
    let_go(held)
    await client.request("GET", service.url)
    assert len(service.seen) == 1


async def test_every_attempt_is_a_span_of_its_own_below_which_the_target_goes_on(client, service):
    service.script(reply(503), reply(200))
    begin(Context(traceparent=TRACE[:-1] + "1"))
    exporter = InMemorySpanExporter()
    with tracing.recording(SimpleSpanProcessor(exporter)):
        await client.request("GET", f"{service.url}/parcels?secret=1")
    spans = exporter.get_finished_spans()
    assert [(span.name, span.kind, (span.attributes or {}).get("error.type")) for span in spans] == [
        ("GET", SpanKind.CLIENT, "Failing"),
        ("GET", SpanKind.CLIENT, None),
    ]
    ids = [f"{span.context.span_id:016x}" for span in spans if span.context is not None]
    assert [seen.headers["traceparent"].split("-")[2] for seen in service.seen] == ids
    assert all(span.parent is not None and span.parent.span_id == int(TRACE.split("-")[2], 16) for span in spans)
    assert "secret" not in str([span.to_json() for span in spans])


@pytest.mark.parametrize(("method", "key"), [("GET", None), ("PUT", None), ("DELETE", None), ("POST", "k1"), ("PATCH", "k2")])
async def test_what_may_be_repeated_is_until_it_succeeds(client, service, method, key):
    service.script(reply(503), reply(500), reply(200))
    assert (await client.request(method, service.url, key=key, body=b"{}")).status == 200
    assert [(seen.method, seen.body, seen.headers.get("idempotency-key")) for seen in service.seen] == [(method, b"{}", key)] * 3


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_may_not_be_repeated_is_not(client, service, method):
    service.answer = failing
    with pytest.raises(Failing):
        await client.request(method, service.url)
    assert len(service.seen) == 1


async def test_repetitions_are_a_tenth_of_the_calls(make_client, service):
    client = make_client(breaker=BreakerPolicy(minimum=10**6), places=50, queue=500)
    service.answer = failing
    calls = [client.request("GET", service.url) for _ in range(300)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Failing}
    assert len(service.seen) == 330


async def test_a_busy_target_says_when_to_come_again(client, service):
    then, at = "Fri, 20 Nov 2026 10:01:30 GMT", "Fri, 20 Nov 2026 10:00:00 GMT"
    service.script(reply(429, Retry_After="120"), reply(503, Retry_After=then, Date=at), reply(503, Retry_After="9" * 400))
    for seconds in (120, 90, 999_999_999):
        with pytest.raises(Failing) as error:
            await client.request("GET", service.url)
        assert error.value.facts == {"retry_after": seconds}
    assert len(service.seen) == 3, "that is later than the call may last"


@pytest.mark.parametrize("unreadable", ["soon", "-1", "Fri, 99 Nov 2026 10:01:30 GMT", "١٢", "²", ""])
async def test_an_unreadable_time_is_none(client, service, unreadable):
    service.script(reply(503, Retry_After=unreadable))
    with pytest.raises(Failing) as error:
        await client.request("POST", service.url)
    assert error.value.facts == {}


async def test_nothing_is_sent_when_the_time_is_over(client, service):
    begin(Context(deadline=0.0))
    with pytest.raises(DeadlineOver):
        await client.request("GET", service.url)
    assert service.connections == 0


async def test_the_time_of_the_work_that_calls_bounds_the_call(client, service):
    service.answer = Hanging()
    begin(Context(deadline=monotonic() + 0.1))
    with pytest.raises(Unanswered):
        await client.request("POST", service.url)
    assert len(service.seen) == 1


async def test_an_answer_that_never_ends_is_left(make_client, service):
    async def trickle(seen: Seen) -> None:
        seen.writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not seen.writer.is_closing():
            seen.writer.write(b"1\r\nx\r\n")
            await seen.writer.drain()
            await asyncio.sleep(0.001)  # the pace of the trickle

    service.answer = trickle
    with pytest.raises(Unanswered):
        await make_client(attempt_s=0.1).request("POST", service.url)


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, b"x" * 1001),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"100\r\n" + b"x" * 256 + b"\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n",
        reply(200, gzip.compress(b"x" * 100), Content_Encoding="gzip"),
        reply(302, Location="http://127.0.0.1:1/"),
        reply(307, Location="/elsewhere"),
    ],
    ids=["long", "long and chunked", "encoded", "elsewhere", "elsewhere at home"],
)
async def test_what_is_not_read(make_client, service, answer):
    service.script(answer)
    with pytest.raises(AnswerRefused):
        await make_client(answer_bytes=1000).request("GET", service.url)
    assert len(service.seen) == 1


async def test_an_answer_of_just_the_allowed_size_is_read(make_client, service):
    service.script(reply(200, b"x" * 1000))
    assert len((await make_client(answer_bytes=1000).request("GET", service.url)).body) == 1000


async def test_what_is_not_read_is_an_answer_to_the_breaker(make_client, service):
    client = make_client(breaker=BreakerPolicy(minimum=5))
    service.script(*[reply(503)] * 4, reply(302, Location="/elsewhere"))
    for error in [Failing] * 4 + [AnswerRefused]:
        with pytest.raises(error):
            await client.request("POST", service.url)
    assert client.breakers() == {service.url: "open"}


async def test_a_target_that_is_not_there_is_unreachable(client, service):
    with pytest.raises(Unreachable):
        await client.request("GET", "http://127.0.0.1:1/")


@pytest.mark.parametrize("broken", [None, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", b"garbage\r\n\r\n"])
async def test_a_target_that_breaks_off_may_have_acted(client, service, broken):
    async def breaks_off(seen: Seen) -> bytes | None:
        if broken:
            seen.writer.write(broken)
        return None

    service.answer = breaks_off
    with pytest.raises(Unanswered):
        await client.request("POST", service.url)


async def test_the_error_is_that_of_the_attempt_that_may_have_acted(make_client, service):
    """Unreachable would say that nothing was done."""
    client = make_client(breaker=BreakerPolicy(minimum=1))

    async def answers_once(seen: Seen) -> bytes:
        return reply(503)

    service.answer = answers_once
    with pytest.raises(Failing) as error:
        await client.request("POST", service.url, key="k1")
    assert len(service.seen) == 1
    assert isinstance(error.value.__cause__, CircuitOpen)


async def test_no_cookie_is_kept_and_no_proxy_of_the_environment_is_used(make_client, service, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    client = make_client()
    service.script(reply(200, Set_Cookie="sid=1; Path=/"), reply(200))
    await client.request("GET", service.url)
    await client.request("GET", service.url)
    assert "cookie" not in service.seen[1].headers
    assert service.connections == 1


async def test_a_breaker_opens_for_its_target_alone_and_is_heard_of(make_client, service, clock):
    heard = []
    client = make_client(
        breaker=BreakerPolicy(minimum=5), retry=RetryPolicy(attempts=1), clock=clock, changed=lambda *news: heard.append(news)
    )
    service.answer = failing
    for error in [Failing] * 5 + [CircuitOpen] * 3:
        with pytest.raises(error):
            await client.request("GET", service.url)
    assert len(service.seen) == 5
    assert heard == [("the parcel service", service.url, "open")]

    with pytest.raises(Failing):
        await client.request("GET", service.url.replace("127.0.0.1", "localhost"))
    assert sorted(client.breakers().values()) == ["closed", "open"]


async def test_of_five_hundred_callers_exactly_three_try_a_target_that_may_have_recovered(make_client, service, clock):
    client = make_client(breaker=BreakerPolicy(minimum=5, probes=3), retry=RetryPolicy(attempts=1), places=500, queue=500, clock=clock)
    service.answer = failing
    for _ in range(5):
        with pytest.raises(Failing):
            await client.request("GET", service.url)
    clock.time += 60
    service.seen.clear()
    service.answer = hanging = Hanging()

    calling = [asyncio.create_task(client.request("GET", service.url)) for _ in range(500)]
    for finished in islice(asyncio.as_completed(calling), 497):
        with pytest.raises(CircuitOpen):
            await finished
    hanging.may_answer.set()
    answers = await asyncio.gather(*calling, return_exceptions=True)
    assert sum(not isinstance(answer, CircuitOpen) for answer in answers) == 3
    assert len(service.seen) == 3
    assert client.breakers() == {service.url: "closed"}


async def test_by_hand_a_target_is_cut_off(client, service):
    (await client.breaker(service.url)).isolate()
    with pytest.raises(CircuitOpen):
        await client.request("GET", f"{service.url}/parcels")
    (await client.breaker(service.url)).reset()
    await client.request("GET", f"{service.url}/parcels")
    assert len(service.seen) == 1


async def test_cancelled_calls_leave_no_trace(make_client, service):
    client = make_client(places=10, queue=10, breaker=BreakerPolicy(minimum=5))
    service.answer = hanging = Hanging()
    for _ in range(10):
        calling = [asyncio.create_task(client.request("GET", service.url)) for _ in range(20)]
        hanging.asked.clear()
        await hanging.asked.wait()
        for task in calling:
            task.cancel()
        await asyncio.wait(calling)
        assert all(task.cancelled() for task in calling)
    hanging.may_answer.set()
    assert client.breakers() == {service.url: "closed"}
    answers = await asyncio.gather(*(client.request("GET", service.url) for _ in range(20)))
    assert [answer.status for answer in answers] == [200] * 20


async def test_our_own_haste_is_not_the_targets_failure(make_client, service):
    client = make_client(breaker=BreakerPolicy(minimum=5))
    service.answer = Hanging()
    for _ in range(10):
        begin(Context(deadline=monotonic() + 0.02))
        with pytest.raises(Unanswered):
            await client.request("POST", service.url)
    assert client.breakers() == {service.url: "closed"}


async def test_a_hanging_target_fills_its_own_places_only(make_client, service):
    client = make_client(places=4, queue=4)
    service.answer = hanging = Hanging()
    calling = [asyncio.create_task(client.request("POST", service.url)) for _ in range(100)]
    refused, _ = await asyncio.wait(calling[8:])
    assert {type(task.exception()) for task in refused} == {Busy}
    hanging.may_answer.set()
    await asyncio.gather(*calling[:8])
    assert len(service.seen) == 8


async def test_nobody_queues_for_a_target_that_is_cut_off(make_client, service):
    client = make_client(places=1, queue=0)
    service.answer = hanging = Hanging()
    under_way = asyncio.create_task(client.request("GET", service.url))
    await hanging.asked.wait()
    (await client.breaker(service.url)).isolate()
    with pytest.raises(CircuitOpen):
        await client.request("GET", service.url)
    hanging.may_answer.set()
    assert (await under_way).status == 200


async def test_the_state_of_a_thousand_targets_is_kept_and_not_that_of_more(make_client, service):
    client = make_client()
    broken = await client.breaker("http://broken.example")
    broken.isolate()
    for number in range(TARGETS + 50):
        await client.breaker(f"http://t{number}.example")
    assert len(client.breakers()) == TARGETS
    assert await client.breaker("http://broken.example") is broken, "one that is cut off is not forgotten for others"


async def test_a_client_whose_every_target_is_in_trouble_takes_no_more(make_client):
    client = make_client()
    for number in range(TARGETS):
        (await client.breaker(f"http://t{number}.example")).isolate()
    with pytest.raises(Busy):
        await client.request("GET", "http://one-more.example")


async def test_a_header_that_cannot_be_sent_is_our_mistake_and_is_not_shown(client, service):
    secret = "s3cr3t"
    with pytest.raises(ValueError, match="cannot be sent") as error:
        await client.request("GET", service.url, headers={"authorization": f"Bearer {secret}\r\nx: y"})
    assert secret not in "".join(traceback.format_exception(error.value))


async def test_no_secret_of_a_call_is_told(make_client, service, caplog):
    secret = "s3cr3t"
    client = make_client(breaker=BreakerPolicy(minimum=2), attempt_s=0.2, retry=AT_ONCE)
    told = []
    caplog.set_level(logging.INFO)
    with capture_logs() as lines:
        for url in (service.url, "http://127.0.0.1:1"):
            for answer in (failing, Hanging()):
                service.answer = answer
                with pytest.raises((Failing, Unanswered, Unreachable, CircuitOpen)) as error:
                    await client.request(
                        "POST", f"{url}/{secret}?token={secret}", headers={"authorization": secret}, body=secret.encode(), key=secret
                    )
                told.append("".join(traceback.format_exception(error.value)) + str(error.value.facts))
    assert any(line["event"] == "breaker_changed" for line in lines)
    assert secret not in f"{told}{lines}{caplog.text}"
