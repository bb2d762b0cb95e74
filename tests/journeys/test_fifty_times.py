"""The same wish fifty times at the same moment, by two doors: it is granted once."""

import secrets
from collections import Counter
from dataclasses import replace
from typing import Final

import httpx

from modules.payments.domain.attempt import News, Outcome
from modules.payments.domain.ports import Notice
from shared.domain.clock import SystemClock
from tests.journeys.buyers import Buyer, at_once, buyer, buyers, outcome, together
from tests.journeys.facts import PAID, Level, Traces, assert_books_balance, assert_paid_once, levels_of, mails, orders_of
from tests.journeys.system import Api, System

TIMES: Final = 50
BUSY: Final = {(409, "in_progress"), (409, "cart_moved")}
IN_FLIGHT: Final = (409, "idempotency_in_flight")


async def one_buyer(system: System, stock: int = 3) -> tuple[Buyer, str]:
    goods = await system.apis[0].shop.goods(stock)
    return await buyer(system.apis[0], [(goods, 1)]), goods.sku


async def test_fifty_completions_of_one_cart_make_one_order(system: System) -> None:
    ada, sku = await one_buyer(system)
    keys = [secrets.token_hex(8) for _ in range(TIMES)]
    asked = [ada.completes(system.apis[n % 2], key=key) for n, key in enumerate(keys)]
    answers = await together(system, "orders.customer_order", asked)
    assert {outcome(answer) for answer in answers} <= {(201, ""), *BUSY}
    assert all(answer.json()["retryable"] for answer in answers if answer.status_code == 409)
    await system.quiet()
    again = await at_once(ada.completes(system.apis[n % 2], key=key) for n, key in enumerate(keys))
    assert {answer.status_code for answer in again} == {201}
    [order] = (await orders_of(system, [ada])).values()
    assert {answer.json()["id"] for answer in [*answers, *again] if answer.is_success} == {order.id}
    await assert_paid_once(system, ada, order)
    assert await levels_of(system, sku) == {sku: Level(3, 1, 0)}
    await assert_books_balance(system)


async def test_good_and_bad_cards_on_one_cart_make_one_order(system: System) -> None:
    """Everybody asks again until there is an answer: a refusal for some bad cards, and then the order for all who are left."""
    ada, sku = await one_buyer(system)
    cards = ["pm_card_declined", "pm_card_ok", "pm_card_late_webhook", "pm_card_declined", "pm_card_error_once"]
    asked = [ada.insists(system.apis[n % 2], cards[n % len(cards)]) for n in range(30)]
    answers = await together(system, "orders.customer_order", asked)
    assert {outcome(answer) for answer in answers} <= {(201, ""), (402, "payment_declined")}
    await system.quiet()
    [order] = (await orders_of(system, [ada])).values()
    assert {answer.json()["id"] for answer in answers if answer.is_success} == {order.id}
    refused = len([answer for answer in answers if not answer.is_success])
    assert order.traces == replace(
        PAID,
        timeline=["completion_started", "completion_failed"] * refused + PAID.timeline,
        provider=["authorize refused"] * refused + PAID.provider,
        stock=["released"] * refused + PAID.stock,
    )
    assert mails(system)[ada.email] == 1
    assert await levels_of(system, sku) == {sku: Level(3, 1, 0)}
    await assert_books_balance(system)


async def test_fifty_uses_of_one_key_complete_a_cart_once(system: System) -> None:
    ada, sku = await one_buyer(system)
    answers = await at_once(ada.completes(system.apis[n % 2], key="only-once") for n in range(TIMES))
    check_replays(answers)
    await system.quiet()
    again = await at_once(ada.completes(system.apis[n % 2], key="only-once") for n in range(TIMES))
    [body] = {answer.content for answer in [*answers, *again] if answer.is_success}
    assert all(answer.status_code == 201 and answer.headers["idempotent-replayed"] == "true" for answer in again)
    [order] = (await orders_of(system, [ada])).values()
    assert order.id.encode() in body
    await assert_paid_once(system, ada, order)
    assert await levels_of(system, sku) == {sku: Level(3, 1, 0)}


async def test_fifty_uses_of_one_key_put_an_item_in_once(system: System) -> None:
    ada, _ = await one_buyer(system)
    goods = await system.apis[0].shop.goods(stock=0)
    path, body = f"/v1/carts/{ada.cart_id}/items", {"variant_id": goods.variant_id, "quantity": 2}
    headers = {**ada.who, "Idempotency-Key": "only-once"}

    async def add(api: Api) -> httpx.Response:
        return await api.client.post(path, json=body, headers=headers)

    answers = await at_once(add(system.apis[n % 2]) for n in range(TIMES))
    check_replays(answers)
    again = await at_once(add(system.apis[n % 2]) for n in range(TIMES))
    assert len({answer.content for answer in [*answers, *again] if answer.is_success}) == 1
    assert all(answer.status_code == 201 and answer.headers["idempotent-replayed"] == "true" for answer in again)
    cart = await ada.sees_cart(system.apis[1])
    assert [item["quantity"] for item in cart["items"]] == [1, 2]
    assert cart["version"] == ada.cart["version"] + 1


def check_replays(answers: list[httpx.Response]) -> None:
    """One did it, others were told what it did, or to ask again in a moment."""
    done = [answer for answer in answers if answer.is_success]
    assert [answer.headers.get("idempotent-replayed") for answer in done].count(None) == 1
    assert len({answer.content for answer in done}) == 1
    refused = [answer for answer in answers if not answer.is_success]
    assert {outcome(answer) for answer in refused} <= {IN_FLIGHT}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)


async def test_fifty_cancellations_of_one_order_refund_it_once(system: System) -> None:
    ada, sku = await one_buyer(system)
    order_id = (await ada.completes(system.apis[0])).json()["id"]

    async def cancel(api: Api) -> httpx.Response:
        return await api.client.post(f"/v1/orders/{order_id}/cancel", json={"reason": "changed my mind"}, headers=ada.who)

    answers = await together(system, "orders.event", [cancel(system.apis[n % 2]) for n in range(TIMES)])
    outcomes = Counter(map(outcome, answers))
    assert outcomes.pop((200, "")) == 1
    assert outcomes.keys() <= {(409, "in_progress"), (409, "illegal_transition")}
    await system.quiet()
    [order] = (await orders_of(system, [ada])).values()
    assert order.traces == Traces(
        status="cancelled",
        payment="refunded",
        timeline=[*PAID.timeline, "cancelled", "refunded"],
        events=[*PAID.events, "orders.order_cancelled"],
        provider=[*PAID.provider, "refund succeeded"],
        booked=[*PAID.booked, "refunded"],
        stock=["deallocated"],
        told=[*PAID.told, "order_cancelled sent"],
    )
    assert mails(system)[ada.email] == 2
    assert await levels_of(system, sku) == {sku: Level(3, 0, 0)}
    await assert_books_balance(system)


async def test_the_browser_and_the_provider_s_webhooks_finish_an_order_together(system: System) -> None:
    """The customer has answered the bank's question. Then the browser asks for its order, with the key of before and with
    others, while the provider tells of the payment again and again."""
    goods = await system.apis[0].shop.goods(stock=8)
    crowd = await buyers(system.apis, [[(goods, 1)]] * 8)
    questions = await at_once(ada.completes(system.apis[n % 2], "pm_card_3ds", key="the-first") for n, ada in enumerate(crowd))
    assert {(answer.status_code, answer.json()["status"]) for answer in questions} == {(202, "requires_action")}

    async def finished(ada: Buyer, url: str) -> list[httpx.Response]:
        path = url.removeprefix("http://test")
        answered = await system.apis[0].client.post(path, json={"approve": True})
        assert answered.status_code == 204, answered.text
        told = [tell(system, api, attempt_id=path.split("/")[4]) for api in system.apis * 2]
        asked = [
            ada.insists(api, "pm_card_3ds", key) for api, key in zip(system.apis * 2, ["the-first", "the-first", None, None], strict=True)
        ]
        return await at_once([*told, *asked])

    everything = await at_once(finished(ada, question.json()["action_url"]) for ada, question in zip(crowd, questions, strict=True))
    await system.quiet()
    orders = await orders_of(system, crowd)
    for ada, answers in zip(crowd, everything, strict=True):
        order = orders[ada.cart_id]
        await assert_paid_once(system, ada, order)
        assert [answer.status_code for answer in answers] == [204] * 4 + [201] * 4
        assert {answer.json()["id"] for answer in answers[4:]} == {order.id}
    assert await levels_of(system, goods.sku) == {goods.sku: Level(8, 8, 0)}
    await assert_books_balance(system)


async def tell(system: System, api: Api, attempt_id: str) -> httpx.Response:
    """The provider's webhook, signed as it signs; each call is another message of the same news."""
    notice = Notice(id=f"pev_{secrets.token_hex(8)}", attempt_id=attempt_id, outcome=Outcome(news=News.SUCCEEDED))
    body, signature = system.root.payments.notices().write(notice, SystemClock().now())
    headers = {"Test-Signature": signature, "Content-Type": "application/json"}
    return await api.client.post("/v1/payments/webhooks/test", content=body, headers=headers)
