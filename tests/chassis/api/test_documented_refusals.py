"""Refusals that the documentation names, each produced on the whole application by the request that deserves it."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import httpx
import pytest

from entrypoints.container import Root
from modules.identity.domain.user import Role
from modules.payments.domain.ports import ProviderSilent
from shared.infra.config import Settings
from tests.chassis.api.test_whole_application import EVERY_ROLE, document, operations, send
from tests.support import application
from tests.support.shop import ADDRESS, Goods, Shop
from tests.support.time import let_time_pass
from tests.support.tokens import bearer

__all__ = ["document"]

EUR_5: Final = {"amount": 500, "currency": "EUR"}
USD_5: Final = {"amount": 500, "currency": "USD"}
USD_0: Final = {"amount": 0, "currency": "USD"}
XXX_5: Final = {"amount": 500, "currency": "XXX"}
NOBODY: Final = "0199f3a27c5e7d10b4c8a1f2e3d4c5b6"

NOT_BY_EXAMPLE: Final = {"lookAtLink", "receiveTestProviderWebhook", "createStockMovement"}
"""Their examples are refused for another reason first: no such link, no such signature, no such kind of movement."""


async def administrator(container: Any) -> dict[str, str]:
    """The headers of somebody with every role, who is an administrator in the store, too."""
    email = f"root.{secrets.token_hex(4)}@example.org"
    administration = container.identity.administration()
    user_id = await administration.appoint(email=email, name="R", password="seven oak planks in rain", roles=[Role.ADMIN])
    return bearer(container, EVERY_ROLE, user_id=user_id)


async def test_what_does_not_exist_is_not_found(client: httpx.AsyncClient, container: Root, document: dict[str, Any]) -> None:
    """The ids of the examples are nobody's."""
    admin = await administrator(container)
    asked = 0
    for path, method, operation in operations(document):
        name, refusals = operation["operationId"], operation["responses"].get("404", {}).get("content", {})
        if name in NOT_BY_EXAMPLE or "not_found" not in refusals.get("application/problem+json", {}).get("examples", ()):
            continue
        answer = await send(client, document, path, method, headers=admin)
        assert (answer.status_code, answer.json().get("code")) == (404, "not_found"), (name, answer.text)
        asked += 1
    assert asked >= 30


@dataclass
class Furnished:
    """One of everything, and a customer who has an open cart, a waiting one and a paid order."""

    shop: Shop
    root: dict[str, str]
    ada: dict[str, str]
    goods: Goods
    cart: dict[str, Any]
    waiting: dict[str, Any]
    order: dict[str, Any]
    product: dict[str, Any]
    category: dict[str, Any]
    location: dict[str, Any]
    reservation: dict[str, Any]
    intent: dict[str, Any]
    user_id: str

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """As the customer for what is theirs, else as the admin; always with a fresh key."""
        theirs = path.startswith(("/v1/carts", "/v1/orders"))
        credentials = self.ada if theirs else self.root
        return await self.shop.client.request(
            method, path, json=body, headers={**credentials, "Idempotency-Key": secrets.token_hex(8), **headers}
        )

    async def made(self, path: str, body: object) -> dict[str, Any]:
        answer = await self.ask("POST", path, body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())


@pytest.fixture(scope="module")
async def here(client: httpx.AsyncClient, container: Root) -> Furnished:
    shop = Shop(client, container)
    root = await administrator(container)
    ada, goods = shop.customer(), await shop.goods(stock=50)
    made: Any = Furnished(shop, root, ada, goods, {}, {}, {}, {}, {}, {}, {}, {}, "")
    made.cart, made.waiting = await shop.cart(ada, (goods, 1)), await shop.cart(ada, (goods, 1))
    made.order = await shop.order(ada, (goods, 1))
    assert (await shop.complete(ada, made.waiting, "pm_card_3ds")).status_code == 202
    slug, sku = f"s-{secrets.token_hex(6)}", secrets.token_hex(6).upper()
    made.product = await made.made("/v1/products", {"title": "Stool", "slug": slug, "variants": [{"sku": sku}]})
    made.category = await made.made("/v1/categories", {"name": "Seats", "slug": f"c-{slug}"})
    made.location = await made.made("/v1/stock_locations", {"name": f"Barn {slug}"})
    made.reservation = await made.made("/v1/reservations", {"lines": [{"sku": goods.sku, "quantity": 1}]})
    made.intent = await made.made("/v1/payment_intents", {"reference": "by-hand", "amount": USD_5})
    made.user_id = (await client.get("/v1/me", headers=await shop.member())).json()["id"]
    furnished: Furnished = made
    return furnished


Case = Callable[[Furnished], tuple[str, str, Any]]

VERSIONED: Final[dict[str, Case]] = {
    "updateProduct": lambda h: ("PATCH", f"/v1/products/{h.product['id']}", {"title": "Chair"}),
    "publishProduct": lambda h: ("POST", f"/v1/products/{h.product['id']}/publish", None),
    "archiveProduct": lambda h: ("POST", f"/v1/products/{h.product['id']}/archive", None),
    "createVariant": lambda h: ("POST", f"/v1/products/{h.product['id']}/variants", {"sku": "STALE-1"}),
    "updateVariant": lambda h: ("PATCH", f"/v1/variants/{h.product['variants'][0]['id']}", {"title": "Red"}),
    "setPrice": lambda h: ("PUT", f"/v1/variants/{h.product['variants'][0]['id']}/prices/EUR", {"list_price": EUR_5}),
    "updateCategory": lambda h: ("PATCH", f"/v1/categories/{h.category['id']}", {"name": "Chairs"}),
    "updateStockLocation": lambda h: ("PATCH", f"/v1/stock_locations/{h.location['id']}", {"name": "Cellar"}),
    "extendReservation": lambda h: ("POST", f"/v1/reservations/{h.reservation['id']}/extend", {"seconds": 5000}),
    "releaseReservation": lambda h: ("DELETE", f"/v1/reservations/{h.reservation['id']}", None),
    "confirmPaymentIntent": lambda h: ("POST", f"/v1/payment_intents/{h.intent['id']}/confirm", {"payment_method": "pm_card_ok"}),
    "capturePaymentIntent": lambda h: ("POST", f"/v1/payment_intents/{h.intent['id']}/capture", {}),
    "cancelPaymentIntent": lambda h: ("POST", f"/v1/payment_intents/{h.intent['id']}/cancel", None),
    "updateCart": lambda h: ("PATCH", f"/v1/carts/{h.cart['id']}", {"email": "ada@example.org"}),
    "addCartItem": lambda h: ("POST", f"/v1/carts/{h.cart['id']}/items", {"variant_id": h.goods.variant_id}),
    "updateCartItem": lambda h: ("PATCH", f"/v1/carts/{h.cart['id']}/items/{h.cart['items'][0]['id']}", {"quantity": 2}),
    "removeCartItem": lambda h: ("DELETE", f"/v1/carts/{h.cart['id']}/items/{h.cart['items'][0]['id']}", None),
    "cancelOrder": lambda h: ("POST", f"/v1/orders/{h.order['id']}/cancel", {"reason": "changed my mind"}),
    "setUserRoles": lambda h: ("PUT", f"/v1/users/{h.user_id}/roles", {"roles": ["support"]}),
}
"""A request that would be granted, were it not for the version that it names."""


@pytest.mark.parametrize("operation", VERSIONED)
async def test_an_old_version_is_stale(here: Furnished, operation: str) -> None:
    method, path, body = VERSIONED[operation](here)
    answer = await here.ask(method, path, body, **{"If-Match": '"999"'})
    assert (answer.status_code, answer.json()["code"]) == (412, "stale_version"), answer.text


def test_every_operation_that_documents_it_is_tried(document: dict[str, Any]) -> None:
    assert {each["operationId"] for _, _, each in operations(document) if "412" in each["responses"]} == VERSIONED.keys()


def product(**changes: Any) -> dict[str, Any]:
    return {"title": "Stool", "slug": f"s-{secrets.token_hex(6)}", **changes}


def priced(price: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"sku": secrets.token_hex(6).upper(), "prices": [{"list_price": price, **more}]}]


def variant(price: dict[str, Any], **more: Any) -> Case:
    return lambda h: ("POST", f"/v1/products/{h.product['id']}/variants", priced(price, **more)[0])


NO_SALE: Final = {"sale": {"price": EUR_5}}
OTHER_SALE: Final = {"sale": {"price": USD_5}}
DEAR: Final = {"amount": 10**13 + 1, "currency": "EUR"}

REFUSED: Final[list[tuple[str, int, str, Case]]] = [
    ("createProduct", 422, "category_unknown", lambda h: ("POST", "/v1/products", product(category_id=f"cat_{NOBODY}"))),
    ("createProduct", 422, "sale_invalid", lambda h: ("POST", "/v1/products", product(variants=priced(EUR_5, **NO_SALE)))),
    ("createProduct", 422, "currency_mismatch", lambda h: ("POST", "/v1/products", product(variants=priced(EUR_5, **OTHER_SALE)))),
    ("createProduct", 422, "unknown_currency", lambda h: ("POST", "/v1/products", product(variants=priced(XXX_5)))),
    ("createProduct", 422, "amount_too_large", lambda h: ("POST", "/v1/products", product(variants=priced(DEAR)))),
    ("createVariant", 422, "sale_invalid", variant(EUR_5, **NO_SALE)),
    ("createVariant", 422, "currency_mismatch", variant(EUR_5, **OTHER_SALE)),
    ("createVariant", 422, "unknown_currency", variant(XXX_5)),
    ("createVariant", 422, "amount_too_large", variant(DEAR)),
    ("setPrice", 422, "unknown_currency", lambda h: (
        "PUT", f"/v1/variants/{h.product['variants'][0]['id']}/prices/XXX", {"list_price": XXX_5})),
    ("updateProduct", 409, "slug_taken", lambda h: ("PATCH", f"/v1/products/{h.product['id']}", {"slug": h.goods.sku.lower()})),
    ("updateProduct", 422, "category_unknown", lambda h: (
        "PATCH", f"/v1/products/{h.product['id']}", {"category_id": f"cat_{NOBODY}"})),
    ("updateVariant", 409, "sku_taken", lambda h: ("PATCH", f"/v1/variants/{h.product['variants'][0]['id']}", {"sku": h.goods.sku})),
    ("createCategory", 409, "slug_taken", lambda h: ("POST", "/v1/categories", {"name": "C", "slug": h.category["slug"]})),
    ("createCategory", 422, "category_unknown", lambda h: (
        "POST", "/v1/categories", {"name": "C", "slug": secrets.token_hex(6), "parent_id": f"cat_{NOBODY}"})),
    ("updateStockLocation", 409, "location_name_taken", lambda h: (
        "PATCH", f"/v1/stock_locations/{h.location['id']}", {"name": "Main warehouse"})),
    ("createStockMovement", 409, "illegal_transition", lambda h: ("POST", "/v1/stock_movements", {
        "kind": "shipped", "sku": h.goods.sku, "quantity": 1, "reason": "sent", "reservation_id": h.reservation["id"]})),
    ("createPaymentIntent", 422, "amount_not_positive", lambda h: ("POST", "/v1/payment_intents", {"reference": "r", "amount": USD_0})),
    ("createPaymentIntent", 422, "unknown_currency", lambda h: ("POST", "/v1/payment_intents", {"reference": "r", "amount": XXX_5})),
    ("createRefund", 422, "amount_not_positive", lambda h: ("POST", "/v1/refunds", {
        "payment_intent": h.order["payment_intent_id"], "amount": USD_0, "reason": "r"})),
    ("createRefund", 422, "currency_mismatch", lambda h: ("POST", "/v1/refunds", {
        "payment_intent": h.order["payment_intent_id"], "amount": EUR_5, "reason": "r"})),
    ("createRefund", 422, "refund_exceeds_captured", lambda h: ("POST", "/v1/refunds", {
        "payment_intent": h.order["payment_intent_id"], "amount": {"amount": 10**6, "currency": "USD"}, "reason": "r"})),
    ("createCart", 422, "unknown_currency", lambda h: ("POST", "/v1/carts", {"currency": "XXX"})),
    ("addCartItem", 409, "cart_not_open", lambda h: ("POST", f"/v1/carts/{h.waiting['id']}/items", {"variant_id": h.goods.variant_id})),
    ("addCartItem", 422, "cart_full", lambda h: (
        "POST", f"/v1/carts/{h.cart['id']}/items", {"variant_id": h.goods.variant_id, "quantity": 999})),
    ("addCartItem", 422, "variant_not_sellable", lambda h: ("POST", f"/v1/carts/{h.cart['id']}/items", {"variant_id": f"var_{NOBODY}"})),
    ("updateCart", 409, "cart_not_open", lambda h: ("PATCH", f"/v1/carts/{h.waiting['id']}", {"shipping_address": ADDRESS})),
    ("updateCartItem", 409, "cart_not_open", lambda h: (
        "PATCH", f"/v1/carts/{h.waiting['id']}/items/{h.waiting['items'][0]['id']}", {"quantity": 2})),
    ("removeCartItem", 409, "cart_not_open", lambda h: (
        "DELETE", f"/v1/carts/{h.waiting['id']}/items/{h.waiting['items'][0]['id']}", None)),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "status", "code", "case"), REFUSED, ids=[f"{name} {code}" for name, _, code, _ in REFUSED])
async def test_a_refusal_is_answered_as_documented(
    here: Furnished, document: dict[str, Any], operation: str, status: int, code: str, case: Case
) -> None:
    method, path, body = case(here)
    needs_version = method in ("PUT", "PATCH", "DELETE")
    answer = await here.ask(method, path, body, **({"If-Match": "*"} if needs_version else {}))
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    [documented] = [each for _, _, each in operations(document) if each["operationId"] == operation]
    assert code in documented["responses"][str(status)]["content"]["application/problem+json"]["examples"]


async def test_a_claim_of_a_cart_that_is_being_completed_is_refused(here: Furnished) -> None:
    client = here.shop.client
    made = (await client.post("/v1/carts", json={"currency": "USD"})).json()
    guest, path = {"Cart-Token": made["token"]}, f"/v1/carts/{made['cart']['id']}"
    await client.post(f"{path}/items", json={"variant_id": here.goods.variant_id}, headers=guest)
    details = {"email": "guest@example.org", "shipping_address": ADDRESS}
    ready = await client.patch(path, json=details, headers={**guest, "If-Match": "*"})
    assert (await here.shop.complete(guest, ready.json(), "pm_card_3ds")).status_code == 202
    refused = await client.post(f"{path}/claim", headers={**here.ada, **guest})
    assert (refused.status_code, refused.json()["code"]) == (409, "cart_not_open")


async def test_a_capture_of_nothing_is_refused_and_one_without_an_answer_is_pending(here: Furnished) -> None:
    intent = await here.made("/v1/payment_intents", {"reference": "silent", "amount": USD_5})
    path = f"/v1/payment_intents/{intent['id']}"
    assert (await here.ask("POST", f"{path}/confirm", {"payment_method": "pm_card_capture_timeout"})).status_code == 200
    nothing = await here.ask("POST", f"{path}/capture", {"amount": USD_0})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "amount_not_positive")
    pending = await here.ask("POST", f"{path}/capture", {})
    assert (pending.status_code, pending.json()["code"], pending.headers["retry-after"]) == (503, "payment_pending", "1")


async def test_a_category_is_not_moved_beyond_the_depth_of_the_tree(here: Furnished) -> None:
    line: list[str] = []
    for n in range(8):
        parent = {"parent_id": line[-1]} if line else {}
        line.append((await here.made("/v1/categories", {"name": f"Level {n}", "slug": secrets.token_hex(6), **parent}))["id"])
    refused = await here.ask("PATCH", f"/v1/categories/{here.category['id']}", {"parent_id": line[-1]}, **{"If-Match": "*"})
    assert (refused.status_code, refused.json()["code"]) == (422, "category_too_deep")


async def test_a_completion_that_nobody_confirms_in_time_says_so(
    here: Furnished, admin_dsn: str, settle: Callable[[], Awaitable[None]]
) -> None:
    ada, key = here.shop.customer(), secrets.token_hex(8)
    cart = await here.shop.cart(ada, (await here.shop.goods(stock=1), 1))
    assert (await here.shop.complete(ada, cart, "pm_card_3ds", key)).status_code == 202
    admin = await asyncpg.connect(admin_dsn)
    await admin.execute("update orders.saga set started_at = started_at - interval '1 day' where ended_at is null")
    await admin.close()
    await let_time_pass(admin_dsn)
    await settle()
    refused = await here.shop.complete(ada, cart, "pm_card_3ds", key)
    assert (refused.status_code, refused.json()["code"], refused.json()["cause"]) == (409, "completion_failed", "timed_out")
    assert (await here.shop.client.get(f"/v1/carts/{cart['id']}", headers=ada)).json()["status"] == "open"


async def test_a_job_that_has_ended_cannot_be_cancelled(here: Furnished, settle: Callable[[], Awaitable[None]]) -> None:
    begun = await here.ask("POST", "/v1/price_changes", {"currency": "NOK", "percent": "10"})
    await settle()
    refused = await here.ask("POST", f"{begun.headers['location']}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "job_ended")


class Altered:
    """A provider with some of its calls answered otherwise."""

    def __init__(self, provider: Any, **instead: Any) -> None:
        self._provider = provider
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        return self._instead.get(name) or getattr(self._provider, name)


async def test_a_cancellation_that_the_provider_does_not_confirm_is_pending(fresh_settings: Settings) -> None:
    async def silent(*_: object) -> None:
        raise ProviderSilent

    root = Root(settings=fresh_settings)
    provider = root.payments().provider
    provider.override(Altered(provider(), cancel=silent, find=silent))
    async with application.client(root) as client:
        manager = bearer(root, ["manager"])
        made = await client.post("/v1/payment_intents", json={"reference": "mute", "amount": USD_5}, headers=manager)
        path = made.headers["location"]
        await client.post(f"{path}/confirm", json={"payment_method": "pm_card_ok"}, headers=manager)
        pending = await client.post(f"{path}/cancel", headers=manager)
        assert (pending.status_code, pending.json()["code"], pending.headers["retry-after"]) == (503, "payment_pending", "1")


async def test_an_order_whose_money_is_being_taken_is_not_cancelled_beside_that(fresh_settings: Settings) -> None:
    root = Root(settings=fresh_settings)
    provider = root.payments().provider
    scripted, asked, answered = provider(), asyncio.Event(), asyncio.Event()

    async def capture(*call: Any) -> Any:
        asked.set()
        await answered.wait()
        return await scripted.capture(*call)

    provider.override(Altered(scripted, capture=capture))
    async with application.client(root) as client, asyncio.TaskGroup() as group:
        shop = Shop(client, root)
        ada = shop.customer()
        completing = group.create_task(shop.complete(ada, await shop.cart(ada, (await shop.goods(stock=1), 1))))
        await asked.wait()
        [order] = (await client.get("/v1/orders", headers=ada)).json()["data"]
        refused = await client.post(f"/v1/orders/{order['id']}/cancel", json={"reason": "too slow"}, headers=ada)
        answered.set()
        assert (refused.status_code, refused.json()["code"]) == (409, "in_progress"), refused.text
        assert (await completing).status_code == 201
