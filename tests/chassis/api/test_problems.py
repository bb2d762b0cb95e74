"""Every refusal is a problem document of one shape, and every type of problem has its page."""

import re

import pytest

from shared.api.problems import catalogue, status_of
from shared.domain.errors import Conflict, DomainError
from tests.chassis.api.tiny import PUBLIC_URL, SHELF, SlugTaken, Tiny, bearer

UNKNOWN = "/v1/shelves/shf_0199f3a27c5e7d10b4c8a1f2e3d4c5b6"


async def test_a_problem_says_what_where_and_under_which_trace(app: Tiny) -> None:
    response = await app.client.get(UNKNOWN)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": f"{PUBLIC_URL}/problems/not_found",
        "title": "Not found",
        "status": 404,
        "detail": "no such shelf",
        "instance": UNKNOWN,
        "code": "not_found",
        "trace_id": response.headers["trace-id"],
        "retryable": False,
    }


async def test_facts_of_an_error_are_members_of_its_problem_and_overwrite_none(app: Tiny) -> None:
    await app.client.post("/v1/shelves", json=SHELF, headers=bearer("manager"))
    response = await app.client.post("/v1/shelves", json=SHELF, headers=bearer("manager"))
    assert (response.status_code, response.json()["code"], response.json()["slug"]) == (409, "test_slug_taken", "oak")


async def test_what_nobody_expected_is_a_bare_500_and_a_logged_stack(app: Tiny, lines) -> None:
    response = await app.client.get("/v1/boxes/fail?how=crash")
    assert response.status_code == 500
    assert "ZeroDivision" not in response.text
    assert "secret detail" not in response.text
    logged = next(line for line in lines if line["event"] == "unhandled_exception")
    assert isinstance(logged["exc_info"], ZeroDivisionError)
    assert response.json()["trace_id"] == response.headers["trace-id"]


async def test_a_broken_authenticator_is_a_bare_500_too(app: Tiny, lines) -> None:
    response = await app.client.get("/v1/shelves", headers=bearer("broken"))
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert any(line["event"] == "unhandled_exception" for line in lines)


async def test_a_retryable_refusal_says_when(app: Tiny) -> None:
    response = await app.client.get("/v1/boxes/fail?how=busy")
    assert (response.status_code, response.headers["retry-after"], response.json()["retryable"]) == (503, "7", True)


async def test_an_undocumented_refusal_is_seen_in_the_logs(app: Tiny, lines) -> None:
    assert (await app.client.get("/v1/boxes/fail?how=undocumented")).status_code == 422
    assert [line["code"] for line in lines if line["event"] == "undocumented_problem"] == ["test_shelf_full"]
    await app.client.get(UNKNOWN)
    assert (await app.client.get("/v1/boxes/fail?how=closed")).status_code == 503, "as every operation documents"
    assert len([line for line in lines if line["event"] == "undocumented_problem"]) == 1


async def test_routing_refuses_with_problems(app: Tiny) -> None:
    nowhere, wrong = await app.client.get("/v1/nowhere"), await app.client.put("/v1/shelves")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "route_not_found")
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD, OPTIONS, POST")


async def test_who_may_not_is_told_apart_from_who_is_not_known(app: Tiny) -> None:
    for headers, status, code in (
        ({}, 401, "unauthenticated"),
        ({"Cart-Token": "c" * 30}, 401, "unauthenticated"),
        (bearer("nobody"), 401, "unauthenticated"),
        (bearer("customer"), 403, "forbidden"),
        (bearer("support"), 200, None),
    ):
        response = await app.client.get("/v1/boxes/staff", headers=headers)
        assert (response.status_code, response.json().get("code")) == (status, code)
        assert ("www-authenticate" in response.headers) is (status == 401)


async def test_permission_is_checked_before_the_request_is_read(app: Tiny) -> None:
    assert (await app.client.post("/v1/shelves?debug=1", content=b"{")).status_code == 401


async def test_every_problem_type_has_a_page_of_its_own(app: Tiny) -> None:
    index = await app.client.get("/problems")
    codes = re.findall(r'href="/problems/([a-z_]+)"', index.text)
    assert {"not_found", "invalid_request", "test_slug_taken", "idempotency_in_flight", "currency_mismatch"} <= set(codes)
    for code in codes:
        page = await app.client.get(f"/problems/{code}")
        assert page.status_code == 200
        assert f"<code>{code}</code>" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert (await app.client.get("/problems/unheard_of")).status_code == 404


async def test_a_page_is_the_docstring_of_its_class_escaped(app: Tiny) -> None:
    page = (await app.client.get("/problems/test_slug_taken")).text
    assert "<p>Another shelf has this slug.</p>" in page
    assert "&lt;another&gt;" in page
    assert "HTTP status 409" in page


def test_an_error_has_the_status_of_its_kind() -> None:
    class Unheard(SlugTaken):
        """Of no kind of its own."""

    assert status_of(Unheard) == 409
    assert status_of(DomainError) == 422


def test_one_code_means_one_thing() -> None:
    class AnotherSlugTaken(Conflict):
        """A second class with the first one's code."""

        code = "test_slug_taken"
        title = "Something else"

    with pytest.raises(ValueError, match="test_slug_taken"):
        catalogue([SlugTaken, AnotherSlugTaken])
