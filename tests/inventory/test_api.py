"""The inventory over HTTP."""

import asyncio
import secrets
from collections import Counter
from typing import Any

import httpx

from modules.inventory.container import InventoryContainer
from tests.inventory.conftest import Store
from tests.support.tokens import bearer

UNKNOWN = "0" * 32


def code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["code"]


def keyed(headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "Idempotency-Key": secrets.token_hex(8)}


def received(sku: str, quantity: int) -> dict[str, object]:
    return {"kind": "received", "sku": sku, "quantity": quantity, "reason": "delivery"}


async def level(client: httpx.AsyncClient, manager: dict[str, str], sku: str) -> dict[str, Any]:
    [found] = (await client.get("/v1/stock_levels", params={"sku": sku}, headers=manager)).json()["data"]
    return dict(found)


async def test_a_movement_needs_a_key_and_a_repeat_moves_nothing(store: Store, client: httpx.AsyncClient, manager: dict[str, str]) -> None:
    assert code(await client.post("/v1/stock_movements", json=received("A", 5), headers=manager)) == (428, "precondition_required")
    once = keyed(manager)
    made = await client.post("/v1/stock_movements", json=received("A", 5), headers=once)
    again = await client.post("/v1/stock_movements", json=received("A", 5), headers=once)
    assert (made.status_code, again.status_code, again.headers["idempotent-replayed"]) == (201, 201, "true")
    assert made.json() == again.json()
    assert made.json()["actor"].startswith("user:usr_")
    assert code(await client.post("/v1/stock_movements", json=received("A", 6), headers=once)) == (422, "idempotency_key_reused")
    assert (await level(client, manager, "A"))["on_hand"] == 5
    listed = (await client.get("/v1/stock_movements", params={"sku": "A"}, headers=manager)).json()
    assert listed["data"] == [made.json()]


async def test_of_fifty_uses_of_one_key_at_once_exactly_one_moves_stock(
    store: Store, client: httpx.AsyncClient, manager: dict[str, str]
) -> None:
    once = keyed(manager)
    answers = await asyncio.gather(*(client.post("/v1/stock_movements", json=received("A", 5), headers=once) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers).keys() <= {201, 409}
    assert (await level(client, manager, "A"))["on_hand"] == 5


async def test_a_movement_that_makes_no_sense_is_refused(store: Store, client: httpx.AsyncClient, manager: dict[str, str]) -> None:
    async def refusal(**changes: object) -> tuple[int, str]:
        return code(await client.post("/v1/stock_movements", json={**received("A", 5), **changes}, headers=keyed(manager)))

    assert await refusal(quantity=-5) == (422, "movement_invalid")
    assert await refusal(kind="transferred") == (422, "movement_invalid")
    assert await refusal(kind="transferred", to_location_id=f"loc_{UNKNOWN}") == (422, "location_unknown")
    assert await refusal(kind="shipped", reservation_id=f"rsv_{UNKNOWN}") == (404, "not_found")
    assert await refusal(kind="damaged") == (409, "insufficient_stock")
    assert (await refusal(kind="lost"))[0] == 400
    assert (await refusal(reason=""))[0] == 400
    assert (await refusal(sku="lower case"))[0] == 400


async def test_a_reservation_is_made_read_extended_and_released(store: Store, client: httpx.AsyncClient, manager: dict[str, str]) -> None:
    await store.receive(A=5)
    wanted = {"lines": [{"sku": "A", "quantity": 2}, {"sku": "A", "quantity": 1}], "seconds": 60}
    made = await client.post("/v1/reservations", json=wanted, headers=manager)
    address = made.headers["location"]
    assert (made.status_code, made.headers["etag"], made.json()["state"]) == (201, '"1"', "held")
    assert made.json()["lines"] == [{"sku": "A", "quantity": 3, "shipped": 0}]
    assert (await level(client, manager, "A"))["available"] == 2
    assert (await client.get(address, headers=manager)).json() == made.json()
    longer = await client.post(f"{address}/extend", json={"seconds": 600}, headers={**manager, "If-Match": '"1"'})
    assert (longer.status_code, longer.headers["etag"]) == (200, '"2"')
    assert longer.json()["expires_at"] > made.json()["expires_at"]
    assert code(await client.delete(address, headers=manager)) == (428, "precondition_required")
    assert code(await client.delete(address, headers={**manager, "If-Match": '"1"'})) == (412, "stale_version")
    assert (await client.delete(address, headers={**manager, "If-Match": '"2"'})).status_code == 204
    assert (await client.get(address, headers=manager)).json()["state"] == "released"
    assert code(await client.post(f"{address}/extend", json={"seconds": 600}, headers=manager)) == (409, "illegal_transition")
    assert (await level(client, manager, "A"))["available"] == 5


async def test_a_short_reservation_names_what_is_available_of_each_line(
    store: Store, client: httpx.AsyncClient, manager: dict[str, str]
) -> None:
    await store.receive(A=5, B=1)
    wanted = {"lines": [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 2}, {"sku": "C", "quantity": 1}]}
    refused = await client.post("/v1/reservations", json=wanted, headers=keyed(manager))
    assert code(refused) == (409, "insufficient_stock")
    assert refused.json()["lines"] == [
        {"sku": "B", "requested": 2, "available": 1},
        {"sku": "C", "requested": 1, "available": 0},
    ]


async def test_a_refused_reservation_may_be_sent_again_with_its_key_once_there_is_stock(
    store: Store, client: httpx.AsyncClient, manager: dict[str, str]
) -> None:
    wanted, once = {"lines": [{"sku": "A", "quantity": 1}]}, keyed(manager)
    assert code(await client.post("/v1/reservations", json=wanted, headers=once)) == (409, "insufficient_stock")
    await store.receive(A=1)
    assert (await client.post("/v1/reservations", json=wanted, headers=once)).status_code == 201
    assert (await client.post("/v1/reservations", json=wanted, headers=once)).headers["idempotent-replayed"] == "true"


async def test_a_reservation_that_rescues_a_lapsed_hold_is_kept_for_its_key(
    store: Store, client: httpx.AsyncClient, manager: dict[str, str]
) -> None:
    await store.receive(A=1)
    wanted, once = {"lines": [{"sku": "A", "quantity": 1}]}, keyed(manager)
    old = (await client.post("/v1/reservations", json=wanted, headers=manager)).json()
    await store.lapse(old["id"])
    made = await client.post("/v1/reservations", json=wanted, headers=once)
    again = await client.post("/v1/reservations", json=wanted, headers=once)
    assert (made.status_code, again.json()) == (201, made.json())
    assert await store.state(old["id"]) == "expired"


async def test_what_an_order_was_promised_is_not_released_as_a_hold(
    store: Store, client: httpx.AsyncClient, manager: dict[str, str]
) -> None:
    await store.receive(A=1)
    made = (await client.post("/v1/reservations", json={"lines": [{"sku": "A", "quantity": 1}]}, headers=manager)).json()
    await store.reservations.commit(made["id"])
    address = f"/v1/reservations/{made['id']}"
    assert code(await client.delete(address, headers={**manager, "If-Match": "*"})) == (409, "illegal_transition")
    shipment = {"kind": "shipped", "sku": "A", "quantity": 1, "reason": "parcel", "reservation_id": made["id"]}
    assert (await client.post("/v1/stock_movements", json=shipment, headers=keyed(manager))).status_code == 201
    assert (await client.get(address, headers=manager)).json()["lines"] == [{"sku": "A", "quantity": 1, "shipped": 1}]


async def test_of_fifty_buyers_over_http_exactly_one_gets_the_last_piece(
    store: Store, client: httpx.AsyncClient, manager: dict[str, str]
) -> None:
    await store.receive(A=1)
    wanted = {"lines": [{"sku": "A", "quantity": 1}]}
    answers = await asyncio.gather(*(client.post("/v1/reservations", json=wanted, headers=keyed(manager)) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 49}
    await store.check_conservation()


async def test_locations_are_added_listed_and_renamed(store: Store, client: httpx.AsyncClient, manager: dict[str, str]) -> None:
    made = await client.post("/v1/stock_locations", json={"name": "Annex"}, headers=manager)
    address = made.headers["location"]
    assert (made.status_code, made.json()["is_default"]) == (201, False)
    assert (await client.get(address, headers=manager)).json() == made.json()
    assert code(await client.post("/v1/stock_locations", json={"name": "Annex"}, headers=manager)) == (409, "location_name_taken")
    renamed = await client.patch(address, json={"name": "Yard"}, headers={**manager, "If-Match": '"1"'})
    assert (renamed.json()["name"], renamed.headers["etag"]) == ("Yard", '"2"')
    assert code(await client.patch(address, json={"name": "Lawn"}, headers={**manager, "If-Match": '"1"'})) == (412, "stale_version")
    first = (await client.get("/v1/stock_locations", params={"limit": 1}, headers=manager)).json()
    rest = (await client.get("/v1/stock_locations", params={"cursor": first["next_cursor"]}, headers=manager)).json()
    assert sorted(each["is_default"] for each in [*first["data"], *rest["data"]]) == [False, True]
    assert code(await client.get(f"/v1/stock_locations/loc_{UNKNOWN}", headers=manager)) == (404, "not_found")


async def test_customers_see_and_move_nothing_and_support_only_looks(
    store: Store, client: httpx.AsyncClient, wired: InventoryContainer
) -> None:
    customer, support = bearer(wired, ["customer"]), bearer(wired, ["support"])
    for path in ("/v1/stock_levels", "/v1/stock_movements", "/v1/stock_locations", f"/v1/reservations/rsv_{UNKNOWN}"):
        assert code(await client.get(path)) == (401, "unauthenticated")
        assert code(await client.get(path, headers=customer)) == (403, "forbidden")
        assert (await client.get(path, headers=support)).status_code in (200, 404)
    for path, body in (("/v1/stock_movements", received("A", 1)), ("/v1/stock_locations", {"name": "Den"})):
        assert code(await client.post(path, json=body, headers=keyed(support))) == (403, "forbidden")
