"""Completions that wait for their customer at the bank, and what happens to them meanwhile."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from shared.infra.events.wakeup import Wakeup
from shared.infra.tasks.worker import TaskWorker
from tests.support.shop import Shop

Settle = Callable[[], Awaitable[None]]


@pytest.fixture(scope="module")
def shop(client: httpx.AsyncClient, container: Any) -> Shop:
    return Shop(client, container)


async def test_3d_secure_asks_for_an_action_and_the_webhook_finishes_the_order(shop: Shop, settle: Settle) -> None:
    ada = shop.customer()
    cart = await shop.cart(ada, (await shop.goods(stock=1), 1))
    waiting = await shop.complete(ada, cart, "pm_card_3ds")
    assert (waiting.status_code, waiting.json()["status"]) == (202, "requires_action")
    operation = waiting.headers["location"]
    assert (await shop.client.get(operation, headers=ada)).json()["status"] == "waiting"
    busy = await shop.complete(ada, cart)
    assert (busy.status_code, busy.json()["code"]) == (409, "in_progress")
    assert f"/v1/operations/{busy.json()['operation_id']}" == operation
    confirmed = await shop.client.post(waiting.json()["action_url"], json={"approve": True})
    assert confirmed.is_success, confirmed.text
    await settle()
    done = (await shop.client.get(operation, headers=ada)).json()
    assert done["status"] == "succeeded", done
    order = (await shop.client.get(done["result"], headers=ada)).json()
    assert order["payment_status"] == "paid"


async def captured_by_hand(shop: Shop, container: Any, ada: dict[str, str], cart: dict[str, Any], amount: int) -> tuple[str, str]:
    """The operation of a completion, and its payment, which the customer has confirmed and staff has captured before it went on."""
    waiting = await shop.complete(ada, cart, "pm_card_3ds")
    await shop.client.post(waiting.json()["action_url"], json={"approve": True})
    payments = container.payments.module()
    await TaskWorker([payments], Wakeup([payments.database])).drain()
    [intent] = (await shop.client.get("/v1/payment_intents", headers=shop.admin, params={"limit": 1})).json()["data"]
    captured = await shop.client.post(
        f"/v1/payment_intents/{intent['id']}/capture",
        json={"amount": {"amount": amount, "currency": "USD"}},
        headers={**shop.admin, "Idempotency-Key": f"by-hand-{intent['id']}"},
    )
    assert captured.is_success, captured.text
    return waiting.headers["location"], intent["id"]


@pytest.mark.parametrize("by_hand", [500, 1500])
async def test_what_staff_has_captured_by_hand_is_not_captured_again_and_goes_back_in_full(
    shop: Shop, container: Any, settle: Settle, by_hand: int
) -> None:
    ada = shop.customer()
    cart = await shop.cart(ada, (await shop.goods(stock=1, price=1500), 1))
    operation, _ = await captured_by_hand(shop, container, ada, cart, by_hand)
    await settle()
    done = (await shop.client.get(operation, headers=ada)).json()
    assert done["status"] == "succeeded", done
    order = (await shop.client.get(done["result"], headers=ada)).json()
    assert (order["status"], order["payment_status"]) == ("placed", "paid")
    sure = {**ada, "Idempotency-Key": order["id"]}
    cancelled = await shop.client.post(f"{done['result']}/cancel", json={"reason": "too large"}, headers=sure)
    assert cancelled.is_success, cancelled.text
    await settle()
    order = (await shop.client.get(done["result"], headers=ada)).json()
    assert (order["status"], order["payment_status"]) == ("cancelled", "refunded")


async def test_what_staff_has_captured_goes_back_when_the_completion_fails(
    shop: Shop, container: Any, settle: Settle, admin_dsn: str
) -> None:
    ada, eve, goods = shop.customer(), shop.customer(), await shop.goods(stock=1, price=1500)
    cart = await shop.cart(ada, (goods, 1))
    operation, intent_id = await captured_by_hand(shop, container, ada, cart, 1500)
    await expire_holds(container, admin_dsn)
    await shop.order(eve, (goods, 1))
    await settle()
    assert (await shop.client.get(operation, headers=ada)).json()["status"] == "failed"
    intent = (await shop.client.get(f"/v1/payment_intents/{intent_id}", headers=shop.admin)).json()
    assert intent["refunded"] == intent["captured"] == {"amount": 1500, "currency": "USD"}


async def test_who_lost_the_answer_still_finds_the_bank_s_question(shop: Shop, settle: Settle) -> None:
    ada = shop.customer()
    cart = await shop.cart(ada, (await shop.goods(stock=1), 1))
    lost = (await shop.complete(ada, cart, "pm_card_3ds", key="lost-answer")).json()
    again = (await shop.complete(ada, cart, "pm_card_3ds", key="lost-answer")).json()
    assert (again["code"], again["operation_id"]) == ("idempotency_in_flight", lost["operation_id"])
    operation = f"/v1/operations/{again['operation_id']}"
    question = (await shop.client.get(operation, headers=ada)).json()["action_url"]
    assert question == lost["action_url"]
    await shop.client.post(question, json={"approve": True})
    await settle()
    assert (await shop.client.get(operation, headers=ada)).json()["action_url"] is None
    assert (await shop.complete(ada, cart, "pm_card_3ds", key="lost-answer")).status_code == 201


async def paying_after_expiry(shop: Shop, container: Any, admin_dsn: str, cart: dict[str, Any], ada: dict[str, str]) -> httpx.Response:
    """The bank's question to a customer whose stock has been given back before the answer."""
    question = await shop.complete(ada, cart, "pm_card_3ds")
    await expire_holds(container, admin_dsn)
    return question


async def expire_holds(container: Any, admin_dsn: str) -> None:
    admin = await asyncpg.connect(admin_dsn)
    await admin.execute("update inventory.reservation set expires_at = now() where state = 'held'")
    await admin.close()
    while await container.inventory.reservations().expire(100):
        pass


async def test_who_pays_after_the_hold_has_expired_gets_what_is_still_there(
    shop: Shop, container: Any, settle: Settle, admin_dsn: str
) -> None:
    ada, goods = shop.customer(), await shop.goods(stock=1)
    question = await paying_after_expiry(shop, container, admin_dsn, await shop.cart(ada, (goods, 1)), ada)
    assert (await shop.level(goods.sku))["available"] == 1
    await shop.client.post(question.json()["action_url"], json={"approve": True})
    await settle()
    assert (await shop.client.get(question.headers["location"], headers=ada)).json()["status"] == "succeeded"
    level = await shop.level(goods.sku)
    assert (level["allocated"], level["reserved"]) == (1, 0)


async def test_who_pays_too_late_for_the_last_piece_is_told_so_and_pays_nothing(
    shop: Shop, container: Any, settle: Settle, admin_dsn: str
) -> None:
    ada, eve, goods = shop.customer(), shop.customer(), await shop.goods(stock=1)
    cart = await shop.cart(ada, (goods, 1))
    question = await paying_after_expiry(shop, container, admin_dsn, cart, ada)
    await shop.order(eve, (goods, 1))
    await shop.client.post(question.json()["action_url"], json={"approve": True})
    await settle()
    ended = (await shop.client.get(question.headers["location"], headers=ada)).json()
    assert (ended["status"], ended["failure"]["code"]) == ("failed", "insufficient_stock")
    assert (await shop.client.get(f"/v1/carts/{cart['id']}", headers=ada)).json()["status"] == "open"
    order_id = ended["result"].rsplit("/", 1)[1]
    [intent] = (await shop.client.get(f"/v1/payment_intents?reference={order_id}", headers=shop.admin)).json()["data"]
    assert (intent["status"], intent["captured"]["amount"]) == ("cancelled", 0)
    level = await shop.level(goods.sku)
    assert (level["allocated"], level["reserved"], level["available"]) == (1, 0, 0)
