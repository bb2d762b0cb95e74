"""Idempotency-Key at the edge: who names it, what is the same request, and what is sent again."""

import asyncio

import pytest

from tests.chassis.api.tiny import SHELF, Tiny, bearer

ID = "shf_0199f3a27c5e7d10b4c8a1f2e3d4c5b6"
FILL = f"/v1/shelves/{ID}/fill"


async def test_the_same_key_and_request_is_answered_with_the_first_answer(app: Tiny) -> None:
    headers = bearer("manager", **{"Idempotency-Key": "k1"})
    first = await app.client.post("/v1/shelves", json=SHELF, headers=headers)
    again = await app.client.post("/v1/shelves", json=SHELF, headers=headers)
    assert (first.status_code, again.status_code, len(app.shelves.rows)) == (201, 201, 1)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert first.content == again.content
    for name in ("location", "etag", "content-type"):
        assert first.headers[name] == again.headers[name]


async def test_the_same_key_with_another_body_query_or_path_is_refused(app: Tiny) -> None:
    headers = bearer("customer", **{"Idempotency-Key": "k1"})
    assert (await app.client.post(f"{FILL}?amount=1", headers=headers)).status_code == 201
    for url, content in ((f"{FILL}?amount=2", b""), (f"{FILL}?amount=1", b"{}"), (f"{FILL.replace('0199', '0198')}?amount=1", b"")):
        response = await app.client.post(url, content=content, headers=headers)
        assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert app.shelves.effects == 1


async def test_keys_of_two_callers_have_nothing_to_do_with_each_other(app: Tiny) -> None:
    for headers in (bearer("customer"), bearer("support"), {"Cart-Token": "c" * 30}, {"Cart-Token": "d" * 30}):
        response = await app.client.post(f"{FILL}?amount=1", headers=headers | {"Idempotency-Key": "k1"})
        assert response.status_code == 201
    assert app.shelves.effects == 4
    assert {scope.split(" ")[0].split(":")[0] for scope, _ in app.shelves.kept} == {"user", "cart"}
    assert {" ".join(scope.split(" ")[1:]) for scope, _ in app.shelves.kept} == {"POST /v1/shelves/{shelf_id}/fill"}


async def test_parallel_requests_with_one_key_have_one_effect(app: Tiny) -> None:
    headers = bearer("customer", **{"Idempotency-Key": "k1"})
    responses = await asyncio.gather(*(app.client.post(f"{FILL}?amount=1", headers=headers) for _ in range(20)))
    assert app.shelves.effects == 1
    for response in responses:
        if response.status_code == 409:
            assert response.json()["code"] == "idempotency_in_flight"
            assert response.headers["retry-after"] == "1"
        else:
            assert response.status_code == 201


async def test_where_a_key_is_required_its_absence_is_428(app: Tiny) -> None:
    response = await app.client.post(f"{FILL}?amount=1", headers=bearer("customer"))
    assert (response.status_code, response.json()["code"]) == (428, "precondition_required")
    assert app.shelves.effects == 0


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "tab\tbed", "caf\xe9"])
async def test_a_key_is_1_to_255_visible_ascii_characters(app: Tiny, key: str) -> None:
    headers = [(b"Authorization", b"Bearer customer"), (b"Idempotency-Key", key.encode("latin-1"))]
    response = await app.client.post(f"{FILL}?amount=1", headers=headers)
    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"] == "Idempotency-Key"


async def test_two_keys_on_one_request_are_refused(app: Tiny) -> None:
    headers = [("Authorization", "Bearer customer"), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert (await app.client.post(f"{FILL}?amount=1", headers=headers)).status_code == 400


async def test_a_refusal_is_not_kept_and_the_key_may_be_used_again(app: Tiny) -> None:
    headers = bearer("customer", **{"Idempotency-Key": "k1"})
    refused = await app.client.post(f"{FILL}?amount=422", headers=headers)
    assert (refused.status_code, refused.json()["code"], refused.json()["free"]) == (422, "test_shelf_full", 0)
    assert not app.shelves.kept


async def test_a_committed_decline_is_a_result_and_is_sent_again_as_it_was(app: Tiny) -> None:
    headers = bearer("customer", **{"Idempotency-Key": "k1"})
    first, again = [await app.client.post(f"{FILL}?amount=402", headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code, app.shelves.effects) == (402, 402, 1)
    assert first.json()["code"] == "test_card_declined"
    assert first.content == again.content
    assert first.headers["content-type"] == again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotent-replayed"] == "true"


async def test_work_that_goes_on_is_202_with_a_place_to_look(app: Tiny) -> None:
    response = await app.client.post(f"{FILL}?amount=202", headers=bearer("customer", **{"Idempotency-Key": "k1"}))
    assert (response.status_code, response.headers["location"]) == (202, "/v1/operations/sag_1")


async def test_an_operation_that_takes_no_key_ignores_it(app: Tiny) -> None:
    response = await app.client.post("/v1/boxes/open", headers={"Idempotency-Key": "k1", "token": "t"})
    assert (response.status_code, response.json()["when"]) == (200, "t")
