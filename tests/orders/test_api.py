"""Carts and orders over HTTP, with their neighbours and a real Postgres behind them."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.shop import ADDRESS, Shop
from tests.support.time import let_time_pass

Settle = Callable[[], Awaitable[None]]


@pytest.fixture(scope="module")
def shop(client: httpx.AsyncClient, container: Any) -> Shop:
    return Shop(client, container)


def key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(8)}


async def guest_cart(client: httpx.AsyncClient) -> tuple[dict[str, Any], dict[str, str]]:
    made = (await client.post("/v1/carts", json={"currency": "USD"})).json()
    return made["cart"], {"Cart-Token": made["token"]}


async def test_a_purchase_ends_paid_with_stock_allocated_and_the_books_balanced(shop: Shop, settle: Settle) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=5)
    answer = await shop.complete(ada, await shop.cart(ada, (goods, 2)))
    order = answer.json()
    assert (answer.status_code, order["status"], order["payment_status"]) == (201, "placed", "paid")
    assert order["total"] == {"amount": 2 * goods.price, "currency": "USD"}
    assert answer.headers["location"] == f"/v1/orders/{order['id']}"
    await settle()
    level = await shop.level(goods.sku)
    assert (level["on_hand"], level["allocated"], level["reserved"]) == (5, 2, 0)
    timeline = (await shop.client.get(f"/v1/orders/{order['id']}/timeline", headers=ada)).json()
    assert [entry["kind"] for entry in timeline["data"]] == ["completion_started", "placed", "captured"]
    balance = (await shop.client.get("/v1/ledger/trial_balance", headers=shop.admin)).json()
    assert balance["balanced"]


async def test_what_costs_nothing_is_ordered_without_a_payment_and_called_off_again(shop: Shop, settle: Settle) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=1, price=0)
    answer = await shop.complete(ada, await shop.cart(ada, (goods, 1)))
    order = answer.json()
    assert (answer.status_code, order["status"], order["payment_status"], order["payment_intent_id"]) == (201, "placed", "paid", None)
    payments = (await shop.client.get(f"/v1/payment_intents?reference={order['id']}", headers=shop.admin)).json()
    assert payments["data"] == []
    cancelled = await shop.client.post(f"/v1/orders/{order['id']}/cancel", json={"reason": "changed my mind"}, headers=ada)
    await settle()
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled"), cancelled.text
    assert (await shop.level(goods.sku))["allocated"] == 0


async def test_a_timeline_is_read_page_by_page(shop: Shop) -> None:
    ada = shop.customer()
    order = await shop.order(ada, (await shop.goods(stock=1), 1))
    first = (await shop.client.get(f"/v1/orders/{order['id']}/timeline?limit=2", headers=ada)).json()
    assert ([entry["kind"] for entry in first["data"]], first["has_more"]) == (["completion_started", "placed"], True)
    rest = await shop.client.get(f"/v1/orders/{order['id']}/timeline?limit=2&cursor={first['next_cursor']}", headers=ada)
    assert ([entry["kind"] for entry in rest.json()["data"]], rest.json()["has_more"]) == (["captured"], False)


async def test_a_cart_that_failed_too_often_is_attempted_no_more(shop: Shop, admin_dsn: str) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=1)
    cart = await shop.cart(ada, (goods, 1))
    assert (await shop.complete(ada, cart, "pm_card_declined")).status_code == 402
    admin = await asyncpg.connect(admin_dsn)
    await admin.execute("update orders.customer_order set attempt = 50 where cart_id = $1", cart["id"])
    await admin.close()
    refused = await shop.complete(ada, cart)
    assert (refused.status_code, refused.json()["code"]) == (422, "cart_attempts_used_up")
    assert (await shop.level(goods.sku))["reserved"] == 0


async def test_a_guest_buys_with_a_token_and_sees_the_order_with_it(shop: Shop) -> None:
    goods = await shop.goods(stock=1)
    cart, guest = await guest_cart(shop.client)
    await shop.client.post(f"/v1/carts/{cart['id']}/items", json={"variant_id": goods.variant_id}, headers=guest)
    details = {"email": "guest@example.org", "shipping_address": ADDRESS}
    ready = await shop.client.patch(f"/v1/carts/{cart['id']}", json=details, headers={**guest, "If-Match": '"2"'})
    assert ready.json()["requirements"] == []
    bought = await shop.complete(guest, ready.json())
    assert bought.status_code == 201, bought.text
    assert (await shop.client.get(f"/v1/orders/{bought.json()['id']}", headers=guest)).status_code == 200


async def test_a_cart_is_opened_by_its_owner_only(shop: Shop) -> None:
    ada = shop.customer()
    cart = await shop.cart(ada, (await shop.goods(stock=1), 1))
    _, stranger = await guest_cart(shop.client)
    for headers in (shop.customer(), stranger):
        assert (await shop.client.get(f"/v1/carts/{cart['id']}", headers=headers)).status_code == 404
    assert (await shop.client.get(f"/v1/carts/{cart['id']}")).status_code == 401


async def test_a_guest_s_cart_is_claimed_with_both_credentials(shop: Shop) -> None:
    cart, guest = await guest_cart(shop.client)
    ada = shop.customer()
    path = f"/v1/carts/{cart['id']}"
    assert (await shop.client.post(f"{path}/claim", headers={**ada, "Cart-Token": "x" * 43})).status_code == 404
    claimed = await shop.client.post(f"{path}/claim", headers={**ada, **guest})
    assert claimed.status_code == 200, claimed.text
    assert (await shop.client.get(path, headers=ada)).status_code == 200
    assert (await shop.client.get(path, headers=guest)).status_code == 404


async def test_a_repeated_claim_is_answered_like_the_first(shop: Shop) -> None:
    cart, guest = await guest_cart(shop.client)
    ada, eve, once = shop.customer(), shop.customer(), key()
    first = await shop.client.post(f"/v1/carts/{cart['id']}/claim", headers={**ada, **guest, **once})
    again = await shop.client.post(f"/v1/carts/{cart['id']}/claim", headers={**ada, **guest, **once})
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (200, first.content, "true")
    assert (await shop.client.post(f"/v1/carts/{cart['id']}/claim", headers={**eve, **guest, **once})).status_code == 404


async def test_what_a_guest_put_in_is_answered_again_after_the_cart_was_claimed(shop: Shop) -> None:
    goods = await shop.goods(stock=1)
    cart, guest = await guest_cart(shop.client)
    path, body, once = f"/v1/carts/{cart['id']}/items", {"variant_id": goods.variant_id}, key()
    first = await shop.client.post(path, json=body, headers={**guest, **once})
    await shop.client.post(f"/v1/carts/{cart['id']}/claim", headers={**shop.customer(), **guest})
    again = await shop.client.post(path, json=body, headers={**guest, **once})
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (201, first.content, "true")
    assert (await shop.client.post(path, json=body, headers=guest)).status_code == 404


async def test_a_changed_price_is_refused_with_the_present_total(shop: Shop) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=5)
    cart = await shop.cart(ada, (goods, 1))
    stale = {**cart, "total": {"amount": 1, "currency": "USD"}}
    refused = await shop.complete(ada, stale)
    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    assert refused.json()["total"] == cart["total"]
    assert (await shop.complete(ada, cart)).status_code == 201


async def test_too_little_stock_names_what_is_there_and_leaves_the_cart_open(shop: Shop) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=1)
    cart = await shop.cart(ada, (goods, 2))
    refused = await shop.complete(ada, cart)
    assert (refused.status_code, refused.json()["code"]) == (409, "insufficient_stock")
    assert refused.json()["lines"] == [{"sku": goods.sku, "requested": 2, "available": 1}]
    assert (await shop.client.get(f"/v1/carts/{cart['id']}", headers=ada)).json()["status"] == "open"
    assert (await shop.level(goods.sku))["reserved"] == 0


async def test_a_declined_card_gives_the_stock_back_and_another_card_succeeds(shop: Shop) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=1)
    cart = await shop.cart(ada, (goods, 1))
    refused = await shop.complete(ada, cart, "pm_card_declined")
    assert (refused.status_code, refused.json()["code"]) == (402, "payment_declined")
    level = await shop.level(goods.sku)
    assert (level["available"], level["reserved"]) == (1, 0)
    assert (await shop.complete(ada, cart)).status_code == 201


async def test_a_decline_is_a_result_that_the_same_key_replays(shop: Shop) -> None:
    ada = shop.customer()
    cart = await shop.cart(ada, (await shop.goods(stock=1), 1))
    first = await shop.complete(ada, cart, "pm_card_declined", key="the-same-key")
    again = await shop.complete(ada, cart, "pm_card_declined", key="the-same-key")
    assert (first.status_code, again.status_code) == (402, 402)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == "application/problem+json"
    other = await shop.complete(ada, cart, "pm_card_ok", key="the-same-key")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_the_same_key_replays_the_order_and_another_one_finds_it(shop: Shop) -> None:
    ada = shop.customer()
    cart = await shop.cart(ada, (await shop.goods(stock=3), 1))
    first = await shop.complete(ada, cart, key="buy-once")
    again = await shop.complete(ada, cart, key="buy-once")
    other = await shop.complete(ada, cart)
    assert [a.status_code for a in (first, again, other)] == [201, 201, 201]
    assert first.json() == again.json() == other.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in other.headers


async def test_completion_without_a_key_is_refused(shop: Shop) -> None:
    ada = shop.customer()
    cart = await shop.cart(ada, (await shop.goods(stock=1), 1))
    body = {"expected_total": cart["total"], "payment_method": "pm_card_ok"}
    answer = await shop.client.post(f"/v1/carts/{cart['id']}/complete", json=body, headers=ada)
    assert (answer.status_code, answer.json()["code"]) == (428, "precondition_required")


async def test_an_incomplete_cart_lists_everything_that_it_needs(shop: Shop) -> None:
    cart, guest = await guest_cart(shop.client)
    refused = await shop.complete(guest, cart)
    assert (refused.status_code, refused.json()["code"]) == (422, "cart_incomplete")
    assert [r["code"] for r in refused.json()["requirements"]] == ["items", "email", "shipping_address"]


@pytest.mark.parametrize("method", ["pm_card_timeout", "pm_card_late_webhook"])
async def test_a_silent_provider_is_asked_until_it_says_what_it_did(shop: Shop, settle: Settle, admin_dsn: str, method: str) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=1)
    cart = await shop.cart(ada, (goods, 1))
    answer = await shop.complete(ada, cart, method)
    assert answer.status_code in (201, 202), answer.text
    await let_time_pass(admin_dsn)
    await settle()
    orders = (await shop.client.get("/v1/orders", headers=ada)).json()["data"]
    assert [order["payment_status"] for order in orders] == ["paid"]
    assert (await shop.level(goods.sku))["allocated"] == 1


async def test_a_capture_that_is_refused_for_good_cancels_the_order(shop: Shop, settle: Settle) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=1)
    cart = await shop.cart(ada, (goods, 1))
    await shop.complete(ada, cart, "pm_card_capture_refused")
    await settle()
    [order] = (await shop.client.get("/v1/orders", headers=ada)).json()["data"]
    assert (order["status"], order["payment_status"]) == ("cancelled", "voided")
    level = await shop.level(goods.sku)
    assert (level["available"], level["allocated"]) == (1, 0)


async def test_a_cancelled_order_is_refunded_and_its_stock_returns(shop: Shop, settle: Settle) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=2)
    order = await shop.order(ada, (goods, 2))
    cancelled = await shop.client.post(f"/v1/orders/{order['id']}/cancel", json={"reason": "changed my mind"}, headers={**ada, **key()})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled"), cancelled.text
    await settle()
    assert (await shop.client.get(f"/v1/orders/{order['id']}", headers=ada)).json()["payment_status"] == "refunded"
    assert (await shop.level(goods.sku))["available"] == 2
    again = await shop.client.post(f"/v1/orders/{order['id']}/cancel", json={"reason": "again"}, headers=ada)
    assert (again.status_code, again.json()["code"]) == (409, "illegal_transition")


async def test_what_moves_money_is_answered_again_for_a_month_and_all_else_for_a_day(shop: Shop, admin_dsn: str) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=1)
    empty = await shop.cart(ada)
    item = {"variant_id": goods.variant_id, "quantity": 1}
    filled = await shop.client.post(f"/v1/carts/{empty['id']}/items", json=item, headers={**ada, "Idempotency-Key": "kept-item"})
    order = (await shop.complete(ada, filled.json(), key="kept-completion")).json()
    path, reason = f"/v1/orders/{order['id']}/cancel", {"reason": "changed my mind"}
    await shop.client.post(path, json=reason, headers={**ada, "Idempotency-Key": "kept-cancellation"})
    admin = await asyncpg.connect(admin_dsn)
    kept = await admin.fetch("""
        select key, extract(day from expires_at - created_at)::int from orders.idempotency_key where starts_with(key, 'kept-') order by key
    """)
    await admin.close()
    assert [tuple(row) for row in kept] == [("kept-cancellation", 30), ("kept-completion", 30), ("kept-item", 1)]


async def test_an_order_is_not_called_refunded_while_its_customer_has_no_money_back(shop: Shop, settle: Settle) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=1)
    order = (await shop.complete(ada, await shop.cart(ada, (goods, 1)), "pm_card_refund_refused")).json()
    await shop.client.post(f"/v1/orders/{order['id']}/cancel", json={"reason": "changed my mind"}, headers=ada)
    await settle()
    assert await money_of(shop, ada, order) == ("cancelled", "paid", ["cancelled", "refund_failed"])


async def test_a_refund_that_comes_back_is_taken_back_from_the_order_too(shop: Shop, settle: Settle, admin_dsn: str) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=1)
    order = (await shop.complete(ada, await shop.cart(ada, (goods, 1)), "pm_card_refund_returned")).json()
    await shop.client.post(f"/v1/orders/{order['id']}/cancel", json={"reason": "changed my mind"}, headers=ada)
    await settle()
    assert await money_of(shop, ada, order) == ("cancelled", "refunded", ["cancelled", "refunded"])
    await let_time_pass(admin_dsn)
    await settle()
    assert await money_of(shop, ada, order) == ("cancelled", "paid", ["cancelled", "refunded", "refund_failed"])


async def test_what_is_partly_given_back_already_is_given_back_to_the_end_and_not_twice(shop: Shop, settle: Settle) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=1)
    order = await shop.order(ada, (goods, 1))
    part = {"payment_intent": order["payment_intent_id"], "amount": {"amount": 100, "currency": "USD"}, "reason": "a scratch"}
    assert (await shop.client.post("/v1/refunds", json=part, headers={**shop.admin, **key()})).status_code == 201
    cancelled = await shop.client.post(f"/v1/orders/{order['id']}/cancel", json={"reason": "changed my mind"}, headers=ada)
    assert cancelled.status_code == 200, cancelled.text
    await settle()
    assert await money_of(shop, ada, order) == ("cancelled", "refunded", ["cancelled", "refunded", "refunded"])
    intent = (await shop.client.get(f"/v1/payment_intents/{order['payment_intent_id']}", headers=shop.admin)).json()
    assert intent["refunded"] == intent["captured"] == order["total"]


async def money_of(shop: Shop, who: dict[str, str], order: dict[str, Any]) -> tuple[str, str, list[str]]:
    """Where an order stands, and what happened to it since it was paid."""
    seen = (await shop.client.get(f"/v1/orders/{order['id']}", headers=who)).json()
    timeline = (await shop.client.get(f"/v1/orders/{order['id']}/timeline", headers=who)).json()["data"]
    return seen["status"], seen["payment_status"], [entry["kind"] for entry in timeline][3:]


async def test_orders_are_listed_newest_first_page_by_page_to_their_owner(shop: Shop) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=5)
    bought = [(await shop.order(ada, (goods, 1)))["id"] for _ in range(3)]
    first = (await shop.client.get("/v1/orders?limit=2", headers=ada)).json()
    assert first["has_more"]
    second = (await shop.client.get(f"/v1/orders?limit=2&cursor={first['next_cursor']}", headers=ada)).json()
    assert [order["id"] for order in [*first["data"], *second["data"]]] == bought[::-1]
    assert (await shop.client.get("/v1/orders", headers=shop.customer())).json()["data"] == []
    everybody = (await shop.client.get("/v1/orders?limit=100", headers=shop.staff("support"))).json()["data"]
    assert set(bought) <= {order["id"] for order in everybody}


async def test_an_order_is_hidden_from_others(shop: Shop) -> None:
    order = await shop.order(shop.customer(), (await shop.goods(stock=1), 1))
    eve = shop.customer()
    for method, path in (("GET", ""), ("GET", "/timeline"), ("POST", "/cancel")):
        body = {"reason": "mine"} if method == "POST" else None
        answer = await shop.client.request(method, f"/v1/orders/{order['id']}{path}", json=body, headers=eve)
        assert answer.status_code == 404, path


async def test_an_item_s_change_answers_to_if_match(shop: Shop) -> None:
    ada = shop.customer()
    cart = await shop.cart(ada, (await shop.goods(stock=9), 1))
    path = f"/v1/carts/{cart['id']}/items/{cart['items'][0]['id']}"
    stale = await shop.client.patch(path, json={"quantity": 2}, headers={**ada, "If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")
    changed = await shop.client.patch(path, json={"quantity": 2}, headers={**ada, "If-Match": f'"{cart["version"]}"'})
    assert changed.json()["items"][0]["quantity"] == 2
    emptied = await shop.client.delete(path, headers=ada)
    assert emptied.json()["items"] == []
