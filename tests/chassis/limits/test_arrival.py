"""What comes in over a real socket: not too large, not too slow, and answered with a problem where there is somebody to answer."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from shared.api.middleware import EdgeOptions
from tests.chassis.api.tiny import Tiny, tiny
from tests.chassis.limits.sockets import LONG_S, SOON_S, connected, served

READ = b"GET /v1/shelves HTTP/1.1\r\nhost: shop.example\r\n"
WRITE = b"POST /v1/shelves HTTP/1.1\r\nhost: shop.example\r\nauthorization: Bearer manager\r\ncontent-type: application/json\r\n"


@pytest.fixture
async def patient() -> AsyncIterator[Tiny]:
    """Waits for a body for as long as it likes."""
    async with tiny(EdgeOptions(arrival_s=LONG_S, deadline_s=LONG_S)) as app:
        yield app


def problem(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    status, headers, body = answer
    assert headers["content-type"] == "application/problem+json"
    assert {"x-content-type-options", "cache-control", "content-security-policy"} <= headers.keys()
    document = json.loads(body)
    assert document["status"] == status
    assert document["type"].endswith(document["code"])
    return status, document["code"]


async def test_a_body_that_trickles_in_is_answered_in_time_and_the_connection_closed():
    async with tiny(EdgeOptions(arrival_s=SOON_S)) as app, served(app.app) as port, connected(port) as client:
        await client.say(WRITE + b'content-length: 1000\r\n\r\n{"slug":')
        answer = await client.hear()
        assert problem(answer) == (408, "slow_request")
        assert answer[1]["connection"] == "close"
        assert await client.closed() == b""
        assert not app.shelves.rows


async def test_a_body_in_pieces_is_read_when_it_is_there_in_time(patient: Tiny):
    async with served(patient.app) as port, connected(port) as client:
        await client.say(WRITE + b"content-length: 3\r\n\r\n")
        for piece in (b"n", b"o", b"!"):
            await client.say(piece)
            await asyncio.sleep(0)
        assert problem(await client.hear()) == (400, "malformed_json")


async def test_headers_that_trickle_in_are_answered_in_time_and_the_connection_closed(patient: Tiny):
    async with served(patient.app, arrival_s=SOON_S) as port, connected(port) as client:
        await client.say(READ)
        await client.say(b"x-slow: ")
        assert problem(await client.hear()) == (408, "slow_request")
        assert await client.closed() == b""


async def test_headers_of_a_later_request_have_no_more_time(patient: Tiny):
    async with served(patient.app, arrival_s=SOON_S) as port, connected(port) as client:
        await client.say(READ + b"\r\n")
        assert (await client.hear())[0] == 200
        await client.say(READ)
        assert problem(await client.hear()) == (408, "slow_request")


async def test_a_connection_that_says_nothing_is_closed(patient: Tiny):
    async with served(patient.app, arrival_s=SOON_S) as port, connected(port) as client:
        assert await client.closed() == b""


async def test_a_connection_that_idles_is_closed(patient: Tiny):
    async with served(patient.app, keep_alive_s=SOON_S) as port, connected(port) as client:
        await client.say(READ + b"\r\n")
        assert (await client.hear())[0] == 200
        assert await client.closed() == b""


async def test_a_body_that_goes_on_after_its_answer_is_cut_off(patient: Tiny):
    async with served(patient.app, arrival_s=SOON_S) as port, connected(port) as client:
        await client.say(WRITE.replace(b"manager", b"nobody") + b"content-length: 1000\r\n\r\n")
        assert problem(await client.hear()) == (401, "unauthenticated")
        assert await client.closed() == b""


async def test_a_request_that_was_complete_may_take_longer_to_answer_than_to_arrive(patient: Tiny):
    async with served(patient.app, arrival_s=SOON_S) as port, connected(port) as client, connected(port) as other:
        await client.say(READ.replace(b"/v1/shelves", b"/v1/boxes/fail?how=hang") + b"\r\n")
        await patient.boxes.entered.wait()
        assert await other.closed() == b""  # came later, said nothing, and its time is over
        assert patient.boxes.cancelled == 0


@pytest.mark.parametrize("endless", [b"x-long: " + b"x" * 40_000, b"x: y\r\n" * 8_000, b"x" * 40_000])
async def test_headers_without_an_end_are_refused_before_they_end(patient: Tiny, endless: bytes):
    async with served(patient.app) as port, connected(port) as client:
        await client.say(READ + endless[:1000])
        await asyncio.sleep(0)
        await client.say(endless)
        assert problem(await client.hear()) == (431, "headers_too_large")
        await client.closed()


@pytest.mark.parametrize(("number", "status"), [(98, 200), (101, 431)])
async def test_there_are_a_hundred_headers_at_most(patient: Tiny, number: int, status: int):
    async with served(patient.app) as port, connected(port) as client:
        await client.say(READ + b"".join(b"x-%d: y\r\n" % each for each in range(number)) + b"\r\n")
        assert (await client.hear())[0] == status


async def test_the_largest_headers_that_the_edge_takes_pass_the_connection(patient: Tiny):
    """In as many headers and as many pieces as there can be."""
    room = 16 * 1024 - len("/v1/shelves") - len("hostshop.example")
    each = room // 99
    head = READ + b"".join(b"x-%02d: %b\r\n" % (number, b"y" * (each - 4)) for number in range(99)) + b"\r\n"
    async with served(patient.app) as port, connected(port) as client:
        for start in range(0, len(head), 500):
            await client.say(head[start : start + 500])
            await asyncio.sleep(0)
        assert (await client.hear())[0] == 200


async def test_a_body_beyond_a_mebibyte_is_refused_whether_it_says_so_or_not(patient: Tiny):
    async with served(patient.app) as port:
        async with connected(port) as client:
            await client.say(WRITE + b"content-length: 1048577\r\n\r\n")
            assert problem(await client.hear()) == (413, "body_too_large")
        async with connected(port) as client:
            await client.say(WRITE + b"transfer-encoding: chunked\r\n\r\n")
            for _ in range(17):
                await client.say(b"10000\r\n" + b" " * 65_536 + b"\r\n")
            assert problem(await client.hear()) == (413, "body_too_large")


async def test_what_is_not_http_gets_a_problem_and_the_next_connection_an_answer(patient: Tiny):
    async with served(patient.app) as port:
        async with connected(port) as client:
            await client.say(b"\x16\x03\x01 hello\r\n\r\n")
            assert problem(await client.hear()) == (400, "not_http")
            await client.closed()
        async with connected(port) as client:
            await client.say(READ + b"\r\n")
            assert (await client.hear())[0] == 200
