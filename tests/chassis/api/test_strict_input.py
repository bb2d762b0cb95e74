"""Hostile and careless requests: what is refused, and that all of it is said at once."""

import json
from typing import Any

import pytest

from tests.chassis.api.tiny import SHELF, Tiny, bearer

JSON = {"Content-Type": "application/json"}
UNKNOWN_ID = "shf_0199f3a27c5e7d10b4c8a1f2e3d4c5b6"


async def create(app: Tiny, body: bytes | dict[str, Any], query: str = "", **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await app.client.post(f"/v1/shelves{query}", content=content, headers=bearer("manager", **(JSON | headers)))


def faults(response: Any) -> set[tuple[str, str]]:
    """(where, code) of every fault of a 400."""
    assert response.status_code == 400, response.text
    assert response.json()["code"] == "invalid_request"
    return {(fault.get("pointer", fault.get("parameter")), fault["code"]) for fault in response.json()["errors"]}


async def test_every_fault_of_body_query_and_path_is_reported_at_once(app: Tiny) -> None:
    body = {
        "slug": "Not A Slug",
        "price": {"amount": "5", "currency": "usd"},
        "parts": [{"sku": "", "quantity": 0}, {"quantity": "5", "depth": 1}],
        "contact": "nobody",
        "colour": "red",
    }
    assert faults(await create(app, body, "?debug=1")) == {
        ("debug", "unknown_parameter"),
        ("/slug", "wrong_format"),
        ("/title", "required"),
        ("/price/amount", "wrong_type"),
        ("/price/currency", "wrong_format"),
        ("/parts/0/sku", "too_short"),
        ("/parts/0/quantity", "too_small"),
        ("/parts/1/sku", "required"),
        ("/parts/1/quantity", "wrong_type"),
        ("/parts/1/depth", "unknown_field"),
        ("/contact", "wrong_format"),
        ("/colour", "unknown_field"),
    }
    response = await app.client.patch("/v1/shelves/7?x=1", content=b'{"title":""}', headers=bearer("manager", **JSON))
    assert faults(response) == {("x", "unknown_parameter"), ("shelf_id", "wrong_format"), ("/title", "too_short")}
    response = await app.client.get("/v1/boxes/echo?flag=maybe&kinds=c", headers={"X-When": "too long a word"})
    assert faults(response) == {("flag", "wrong_type"), ("kinds", "not_allowed"), ("X-When", "too_long")}


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("price", {"amount": 10.99, "currency": "USD"}, "wrong_type"),
        ("price", {"amount": 1e3, "currency": "USD"}, "wrong_type"),
        ("price", {"amount": 2**63, "currency": "USD"}, "too_large"),
        ("price", {"amount": True, "currency": "USD"}, "wrong_type"),
        ("title", "x" * 201, "too_long"),
        ("title", 7, "wrong_type"),
        ("title", None, "wrong_type"),
        ("slug", "oak\n", "wrong_format"),
        ("parts", {}, "wrong_type"),
        ("finish", "varnished", "not_allowed"),
        ("finish", ["raw", None], "wrong_type"),
        ("parts", [{"sku": "a", "quantity": 1}] * 11, "too_long"),
        ("labels", {"a": 1}, "wrong_type"),
        ("labels", {"a": "x\0y"}, "nul_character"),
        ("labels", {"a\0": "x"}, "nul_character"),
        ("title", "nul \0 here", "nul_character"),
    ],
)
async def test_a_value_of_the_wrong_form_is_refused(app: Tiny, field: str, value: object, code: str) -> None:
    assert {found for _, found in faults(await create(app, SHELF | {field: value}))} == {code}
    assert not app.shelves.rows


@pytest.mark.parametrize("character", ["\r", "\n", "\t", "\x1b", "\x7f", "\x85", "\u2028"])
async def test_what_has_one_line_has_no_character_that_ends_it(app: Tiny, character: str) -> None:
    for title in (f"Oak{character}Bcc: all", f"{character}Oak", f"Oak{character}"):
        assert faults(await create(app, {**SHELF, "title": title})) == {("/title", "wrong_format")}, title
    assert (await create(app, {**SHELF, "title": "Oak, Éiche and \u00a0橡木 🌳"})).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"slug": NaN}',
        b"[" * 100_000,
        b'{"a":' * 5_000,
        b'{"slug":' + b"[" * 40 + b"]" * 40 + b"}",
        b'"' + b'\\"' * 200_000,
        b'{"slug":"oak","slug":"elm","title":"T","price":{"amount":1,"currency":"USD"}}',
        b'{"slug":"oak","title":"T","price":{"amount":1,"amount":2,"currency":"USD"}}',
        b'{"slug":"oak","title":"T","price":{"amount":1,"currency":"USD"}} trailing',
        b'\xef\xbb\xbf{"slug":"oak","title":"T","price":{"amount":1,"currency":"USD"}}',
        b'{"slug":"\xff"}',
        b'{"slug":"\\ud800"}',
    ],
)
async def test_what_is_not_json_in_one_meaning_is_malformed(app: Tiny, body: bytes) -> None:
    response = await create(app, body)
    assert (response.status_code, response.json()["code"]) == (400, "malformed_json"), response.text[:300]
    assert not app.shelves.rows


async def test_a_number_of_thousands_of_digits_is_a_fault_and_not_a_crash(app: Tiny) -> None:
    body = b'{"slug":"oak","title":"T","price":{"amount":' + b"9" * 5_000 + b',"currency":"USD"}}'
    assert faults(await create(app, body)) == {("/price/amount", "too_large")}
    response = await app.client.get(f"/v1/shelves?limit={'9' * 5_000}")
    assert faults(response) == {("limit", "too_large")}


async def test_half_a_surrogate_pair_in_a_key_is_named_as_far_as_it_can_be(app: Tiny) -> None:
    assert ("/?", "unknown_field") in faults(await create(app, b'{"slug":7,"\\ud800":1}'))


async def test_what_follows_the_first_fault_must_be_json_too(app: Tiny) -> None:
    response = await create(app, b'{"slug":7, nonsense')
    assert (response.status_code, response.json()["code"]) == (400, "malformed_json")


async def test_an_escaped_backslash_before_u0000_is_ordinary_text(app: Tiny) -> None:
    body = rb'{"slug":"oak","title":"a \\u0000 b","price":{"amount":1,"currency":"USD"}}'
    response = await create(app, body)
    assert response.status_code == 201
    assert response.json()["title"] == r"a \u0000 b"


async def test_thirty_two_levels_are_read_and_brackets_in_texts_do_not_count(app: Tiny) -> None:
    response = await create(app, SHELF | {"title": "[{" * 90})
    assert response.status_code == 201
    deep = b'{"slug":' + b"[" * 31 + b"]" * 31 + b"}"
    assert ("/slug", "wrong_type") in faults(await create(app, deep))


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/json; charset=utf-16"]
)
async def test_only_json_in_utf8_is_accepted(app: Tiny, content_type: str) -> None:
    response = await create(app, SHELF, **{"Content-Type": content_type})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


async def test_a_missing_body_is_a_fault_of_the_body(app: Tiny) -> None:
    assert faults(await create(app, b"")) == {("", "required")}


async def test_more_than_a_mebibyte_is_refused_announced_or_streamed(app: Tiny) -> None:
    async def chunks() -> Any:
        for _ in range(1_100):
            yield b" " * 1_024

    announced = await create(app, b" " * (1_024 * 1_024 + 1))
    streamed = await app.client.post("/v1/shelves", content=chunks(), headers=bearer("manager", **JSON))
    for response in (announced, streamed):
        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


async def test_a_use_case_cannot_be_replaced_by_a_query_parameter_of_its_name(app: Tiny) -> None:
    response = await app.client.get(f"/v1/shelves/{UNKNOWN_ID}?shelves=1")
    assert faults(response) == {("shelves", "unknown_parameter")}


async def test_the_query_is_read_strictly(app: Tiny) -> None:
    for query, expected in {
        "limit=0": {("limit", "too_small")},
        "limit=101": {("limit", "too_large")},
        "limit=": {("limit", "wrong_type")},
        "limit=1&limit=2": {("limit", "repeated")},
        "sort=price": {("sort", "not_allowed")},
        "title=a%00b": {("title", "nul_character")},
        "title=%ff": {("query string", "malformed")},
        "&".join(f"title={n}" for n in range(101)): {("query string", "malformed")},
        "Limit=1": {("Limit", "unknown_parameter")},
        "title[gte]=1": {("title[gte]", "unknown_parameter")},
    }.items():
        assert faults(await app.client.get(f"/v1/shelves?{query}")) == expected, query


@pytest.mark.parametrize(
    "sent", ["at[gte]=null", "at[gte]=0.5", "at[gte]=1767225600", "at[gte]=2026-01-01T00:00:00", "flag=null", "kinds=null"]
)
async def test_a_query_has_no_null_and_a_date_is_no_number(app: Tiny, sent: str) -> None:
    [(parameter, _)] = faults(await app.client.get(f"/v1/boxes/echo?{sent}"))
    assert parameter == sent.partition("=")[0]
    echoed = await app.client.get("/v1/boxes/echo?at[gte]=2026-01-01T00:00:00%2B01:00")
    assert echoed.json()["when"] == "2026-01-01T00:00:00+01:00"


async def test_a_required_query_parameter_is_named_when_it_is_missing(app: Tiny) -> None:
    assert faults(await app.client.post(f"/v1/shelves/{UNKNOWN_ID}/fill", headers=bearer("customer"))) == {("amount", "required")}


async def test_a_header_parameter_sent_twice_is_refused(app: Tiny) -> None:
    response = await app.client.get("/v1/boxes/echo", headers=[("X-When", "a"), ("X-When", "b")])
    assert faults(response) == {("X-When", "repeated")}


async def test_a_hundred_faults_are_enough(app: Tiny) -> None:
    response = await create(app, SHELF | {"labels": {str(n): n for n in range(500)}})
    assert len(response.json()["errors"]) == 100


async def test_well_formed_parameters_arrive_typed(app: Tiny) -> None:
    response = await app.client.get("/v1/boxes/echo?flag=true&kinds=a&kinds=b", headers={"X-When": "now"})
    assert response.json() == {"principal": "anonymous:", "flag": True, "kinds": ["a", "b"], "when": "now"}
