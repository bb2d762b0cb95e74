"""Payments over HTTP: staff takes money and gives it back, the provider calls, and nobody else may."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from modules.payments.container import PaymentsContainer
from modules.payments.domain.attempt import News, Outcome
from modules.payments.domain.ports import Notice
from shared.domain.clock import SystemClock
from shared.domain.ids import new_id
from shared.infra.db.connections import Connection
from shared.infra.worker import Worker
from tests.support.tokens import bearer

USD_10 = {"amount": 1000, "currency": "USD"}


class Staff:
    """Somebody's client: every POST may carry a key."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self._client = client
        self._headers = headers

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self._client.get(path, params=params, headers=self._headers)

    async def post(self, path: str, body: object = None, *, key: str | None = None, **headers: str) -> httpx.Response:
        headers = self._headers | headers | ({"Idempotency-Key": key} if key else {})
        return await self._client.post(path, json=body, headers=headers)

    async def intent(self) -> str:
        response = await self.post("/v1/payment_intents", {"reference": "ord_1", "amount": USD_10})
        assert response.status_code == 201, response.text
        return str(response.headers["location"])

    async def authorized(self, card: str = "pm_card_ok") -> str:
        location = await self.intent()
        assert (await self.post(f"{location}/confirm", {"payment_method": card})).status_code == 200
        return location


@pytest.fixture
def manager(client: httpx.AsyncClient, payments: PaymentsContainer) -> Staff:
    return Staff(client, bearer(payments, roles=("manager",)))


async def test_a_payment_is_made_and_given_back_and_the_books_agree(manager: Staff):
    location = await manager.authorized()
    taken = await manager.post(f"{location}/capture", {}, key="c1")
    assert (taken.json()["status"], taken.json()["captured"]) == ("captured", USD_10)
    refund = await manager.post(
        "/v1/refunds", {"payment_intent": taken.json()["id"], "amount": {"amount": 250, "currency": "USD"}, "reason": "broken"}, key="r1"
    )
    assert refund.status_code == 201
    read = await manager.get(refund.headers["location"])
    assert (read.json()["status"], read.json()["reason"]) == ("succeeded", "broken")
    intent = (await manager.get(location)).json()
    assert intent["refunded"] == {"amount": 250, "currency": "USD"}
    trial = (await manager.get("/v1/ledger/trial_balance")).json()
    assert trial["balanced"] is True
    balances = {account["account"]: account["balance"]["amount"] for account in trial["accounts"]}
    assert balances == {"authorizations": 0, "authorizations_offset": 0, "customer_payments": 750, "provider_receivable": 750}
    assert (await manager.get("/v1/ledger/accounts")).json() == {"data": trial["accounts"]}


@pytest.mark.parametrize("reference", ["Ada Lovelace", "ada@example.org", "", "x" * 101])
async def test_a_reference_is_an_id_because_events_carry_it(manager: Staff, reference: str):
    refused = await manager.post("/v1/payment_intents", {"reference": reference, "amount": USD_10})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/reference")


async def test_a_declined_card_is_an_answer_and_another_one_may_be_tried(manager: Staff):
    location = await manager.intent()
    declined = await manager.post(f"{location}/confirm", {"payment_method": "pm_card_declined"})
    assert (declined.status_code, declined.json()["status"], declined.json()["decline_code"]) == (200, "declined", "insufficient_funds")
    second = await manager.post(f"{location}/confirm", {"payment_method": "pm_card_ok"})
    assert second.json()["status"] == "authorized"


async def test_what_moves_money_needs_a_key(manager: Staff):
    location = await manager.authorized()
    for path, body in (
        (f"{location}/capture", {}),
        ("/v1/refunds", {"payment_intent": location.rsplit("/", 1)[1], "amount": USD_10, "reason": "broken"}),
    ):
        response = await manager.post(path, body)
        assert (response.status_code, response.json()["code"]) == (428, "precondition_required")


async def test_a_key_that_cannot_be_read_is_refused_before_anything_is_begun(manager: Staff):
    location = await manager.authorized()
    for action, body in (("confirm", {"payment_method": "pm_card_ok"}), ("capture", {}), ("cancel", {})):
        response = await manager.post(f"{location}/{action}", body, key="two words")
        assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
        assert [fault["parameter"] for fault in response.json()["errors"]] == ["Idempotency-Key"]


async def test_the_same_key_answers_the_same_and_another_request_under_it_is_refused(manager: Staff, admin: Connection):
    location = await manager.authorized()
    part = {"amount": {"amount": 400, "currency": "USD"}}
    first = await manager.post(f"{location}/capture", part, key="c1")
    again = await manager.post(f"{location}/capture", part, key="c1")
    other = await manager.post(f"{location}/capture", {"amount": {"amount": 500, "currency": "USD"}}, key="c1")
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await admin.fetchval("select captured from payment_intent") == 400


async def test_fifty_parallel_uses_of_one_key_refund_once(manager: Staff, admin: Connection):
    location = await manager.authorized()
    await manager.post(f"{location}/capture", {}, key="c1")
    body = {"payment_intent": location.rsplit("/", 1)[1], "amount": {"amount": 100, "currency": "USD"}, "reason": "broken"}
    responses = await asyncio.gather(*(manager.post("/v1/refunds", body, key="r1") for _ in range(50)))
    assert {response.status_code for response in responses} <= {201, 409}
    assert len({response.json()["id"] for response in responses if response.status_code == 201}) == 1
    assert await admin.fetchval("select refunded + refunding from payment_intent") == 100
    assert await admin.fetchval("select count(*) from test_provider_ledger where operation = 'refund'") == 1


async def test_an_unknown_outcome_is_503_and_the_same_key_learns_it(manager: Staff):
    location = await manager.intent()
    pending = await manager.post(f"{location}/confirm", {"payment_method": "pm_card_timeout"}, key="k1")
    assert (pending.status_code, pending.json()["code"], pending.json()["retryable"]) == (503, "payment_pending", True)
    assert int(pending.headers["retry-after"]) >= 1
    assert (await manager.get(location)).json()["status"] == "processing"
    known = await manager.post(f"{location}/confirm", {"payment_method": "pm_card_timeout"}, key="k1")
    assert known.json()["status"] == "authorized"


async def test_a_capture_refused_for_good_is_409_with_the_providers_code(manager: Staff):
    location = await manager.authorized("pm_card_capture_refused")
    refused = await manager.post(f"{location}/capture", {}, key="c1")
    assert (refused.status_code, refused.json()["code"], refused.json()["failure"]) == (409, "capture_refused", "authorization_expired")


async def test_more_than_is_left_is_422_and_names_what_is_left(manager: Staff):
    location = await manager.authorized()
    too_much = await manager.post(f"{location}/capture", {"amount": {"amount": 1001, "currency": "USD"}}, key="c1")
    assert (too_much.status_code, too_much.json()["capturable"]) == (422, USD_10)
    other_currency = await manager.post(f"{location}/capture", {"amount": {"amount": 1, "currency": "EUR"}}, key="c2")
    assert (other_currency.status_code, other_currency.json()["code"]) == (422, "currency_mismatch")


@pytest.mark.parametrize("action", ["confirm", "capture", "cancel", "refund"])
async def test_an_illegal_step_is_409_and_changes_nothing(manager: Staff, admin: Connection, action: str):
    """From captured nothing but a refund leads on; from created there is nothing to capture and nothing to give back."""
    location = await (manager.intent() if action in ("capture", "refund") else manager.authorized())
    if action in ("confirm", "cancel"):
        await manager.post(f"{location}/capture", {}, key="c1")
    before, events = await manager.get(location), await admin.fetchval("select count(*) from event")
    requests: dict[str, Callable[[], Awaitable[httpx.Response]]] = {
        "confirm": lambda: manager.post(f"{location}/confirm", {"payment_method": "pm_card_ok"}),
        "capture": lambda: manager.post(f"{location}/capture", {}, key="c2"),
        "cancel": lambda: manager.post(f"{location}/cancel"),
        "refund": lambda: manager.post(
            "/v1/refunds", {"payment_intent": location.rsplit("/", 1)[1], "amount": USD_10, "reason": "broken"}, key="r1"
        ),
    }
    refused = await requests[action]()
    assert (refused.status_code, refused.json()["code"]) == (409, "illegal_transition")
    assert (await manager.get(location)).content == before.content
    assert await admin.fetchval("select count(*) from event") == events


async def test_cancelling_twice_answers_the_same(manager: Staff):
    location = await manager.authorized()
    first, second = await manager.post(f"{location}/cancel"), await manager.post(f"{location}/cancel")
    assert first.json()["status"] == "cancelled"
    assert second.json() == first.json()


@pytest.mark.parametrize(("action", "body"), [("confirm", {"payment_method": "pm_card_ok"}), ("cancel", None)])
async def test_a_repeat_is_answered_before_its_etag_is_looked_at(manager: Staff, action: str, body: object):
    location = await manager.intent()
    version = (await manager.get(location)).headers["etag"]
    first = await manager.post(f"{location}/{action}", body, key="once", **{"If-Match": version})
    again = await manager.post(f"{location}/{action}", body, key="once", **{"If-Match": version})
    assert first.status_code == 200, first.text
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (200, first.content, "true")


async def test_a_key_that_cancelled_one_payment_cancels_no_other(manager: Staff):
    one, other = await manager.authorized(), await manager.authorized()
    assert (await manager.post(f"{one}/cancel", key="mine")).status_code == 200
    refused = await manager.post(f"{other}/cancel", key="mine")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert (await manager.get(other)).json()["status"] == "authorized"


@pytest.mark.parametrize(("action", "body"), [("confirm", {"payment_method": "pm_card_ok"}), ("cancel", None)])
async def test_an_action_with_an_old_etag_is_412(manager: Staff, action: str, body: object):
    location = await manager.intent()
    stale = (await manager.get(location)).headers["etag"]
    await manager.post(f"{location}/confirm", {"payment_method": "pm_card_declined"})
    assert (await manager.post(f"{location}/{action}", body, **{"If-Match": stale})).status_code == 412
    fresh = (await manager.get(location)).headers["etag"]
    assert (await manager.post(f"{location}/{action}", body, **{"If-Match": fresh})).status_code == 200


async def test_the_customer_answers_the_issuer_and_the_webhook_ends_the_payment(manager: Staff, client: httpx.AsyncClient, worker: Worker):
    location = await manager.authorized("pm_card_3ds")
    asked = (await manager.get(location)).json()
    assert asked["status"] == "requires_action"
    page = asked["action_url"].removeprefix("https://shop.example")
    assert (await client.post(page, json={"approve": True})).status_code == 204
    assert (await client.post(page, json={"approve": True})).status_code == 404
    await worker.drain()
    assert (await manager.get(location)).json()["status"] == "authorized"


async def test_the_providers_webhook_is_taken_in_once_and_only_with_its_signature(
    manager: Staff, client: httpx.AsyncClient, payments: PaymentsContainer, admin: Connection
):
    location = await manager.intent()
    await manager.post(f"{location}/confirm", {"payment_method": "pm_card_timeout"})
    attempt_id = await admin.fetchval("select id from attempt")
    notice = Notice(id="pev_1", attempt_id=attempt_id, outcome=Outcome(news=News.SUCCEEDED))
    body, signature = payments.notices().write(notice, SystemClock().now())
    forged = await client.post("/v1/payments/webhooks/test", content=body + b" ", headers={"Test-Signature": signature})
    assert (forged.status_code, forged.json()["code"]) == (401, "webhook_signature_invalid")
    for _ in range(2):
        assert (await client.post("/v1/payments/webhooks/test", content=body, headers={"Test-Signature": signature})).status_code == 204
    assert (await manager.get(location)).json()["status"] == "authorized"
    assert await admin.fetchval("select count(*) from event where type = 'payments.payment_authorized'") == 1


async def test_a_webhook_about_an_unknown_attempt_is_404_and_may_come_again(
    client: httpx.AsyncClient, payments: PaymentsContainer, admin: Connection
):
    notice = Notice(id="pev_1", attempt_id=new_id("att"), outcome=Outcome(news=News.SUCCEEDED))
    body, signature = payments.notices().write(notice, SystemClock().now())
    assert (await client.post("/v1/payments/webhooks/test", content=body, headers={"Test-Signature": signature})).status_code == 404
    assert await admin.fetchval("select count(*) from inbox") == 0


async def test_lists_are_paged_and_filtered(manager: Staff):
    locations = [await manager.authorized() for _ in range(3)]
    page = (await manager.get("/v1/payment_intents", limit=2, reference="ord_1")).json()
    rest = (await manager.get("/v1/payment_intents", limit=2, reference="ord_1", cursor=page["next_cursor"])).json()
    assert [intent["id"] for intent in page["data"] + rest["data"]] == [location.rsplit("/", 1)[1] for location in reversed(locations)]
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)
    assert (await manager.get("/v1/payment_intents", reference="ord_2")).json()["data"] == []
    transactions = (await manager.get("/v1/ledger/transactions", limit=2)).json()
    assert transactions["has_more"] is True
    source = transactions["data"][0]["source_id"]
    assert [entry["source_id"] for entry in (await manager.get("/v1/ledger/transactions", source_id=source)).json()["data"]] == [source]


async def test_refunds_are_listed_by_payment(manager: Staff):
    location = await manager.authorized()
    await manager.post(f"{location}/capture", {}, key="c1")
    intent_id = location.rsplit("/", 1)[1]
    for n in range(3):
        body = {"payment_intent": intent_id, "amount": {"amount": 10 + n, "currency": "USD"}, "reason": "broken"}
        await manager.post("/v1/refunds", body, key=f"r{n}")
    listed = (await manager.get("/v1/refunds", payment_intent=intent_id)).json()["data"]
    assert [refund["amount"]["amount"] for refund in listed] == [12, 11, 10]
    assert len((await manager.get("/v1/refunds")).json()["data"]) == 3


@pytest.mark.parametrize("path", ["/v1/payment_intents/{}", "/v1/refunds/{}"])
async def test_what_does_not_exist_is_404(manager: Staff, path: str):
    assert (await manager.get(path.format(new_id("pin")))).status_code == 404


@pytest.mark.parametrize(("roles", "status"), [((), 401), (("customer",), 403), (("support",), 403), (("admin",), 200)])
async def test_the_books_are_for_managers_and_administrators(
    client: httpx.AsyncClient, payments: PaymentsContainer, roles: tuple[str, ...], status: int
):
    caller = Staff(client, bearer(payments, roles=roles) if roles else {})
    for path in ("/v1/ledger/accounts", "/v1/ledger/transactions", "/v1/ledger/trial_balance"):
        assert (await caller.get(path)).status_code == status


async def test_support_looks_at_payments_and_moves_none(client: httpx.AsyncClient, payments: PaymentsContainer, manager: Staff):
    location = await manager.intent()
    support = Staff(client, bearer(payments, roles=("support",)))
    assert (await support.get(location)).status_code == 200
    assert (await support.post(f"{location}/confirm", {"payment_method": "pm_card_ok"})).status_code == 403
