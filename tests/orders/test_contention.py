"""Carts that others change at every moment: nobody is told a price for what is no longer in the cart."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import httpx
import pytest

from entrypoints.container import Root
from entrypoints.http import create_app
from shared.infra.config import Settings
from tests.support import application
from tests.support.shop import ADDRESS, Goods, Shop

ONE_MORE: Final = "update orders.cart_item set quantity = quantity + 1 where cart_id = $1"


class Slow:
    """A catalogue that takes its time: in the meantime somebody else changes the cart that is `watched`."""

    def __init__(self, catalogue: Any, other: "asyncpg.Connection[Any]") -> None:
        self._catalogue = catalogue
        self._other = other
        self.watched: str | None = None

    async def offers(self, wanted: Mapping[str, int], currency: str) -> Any:
        found = await self._catalogue.offers(wanted, currency)
        if self.watched is not None:
            await self._other.execute(ONE_MORE, self.watched)
        return found


@dataclass
class Contended:
    """A guest's cart with two things in it, and what reaches it."""

    shop: Shop
    catalogue: Slow
    goods: Goods
    cart: dict[str, Any]
    guest: dict[str, str]
    ada: dict[str, str]

    def item(self) -> str:
        return f"/v1/carts/{self.cart['id']}/items/{self.cart['items'][0]['id']}"


@pytest.fixture(scope="module")
async def shop_and_catalogue(settings: Settings) -> AsyncIterator[tuple[Shop, Slow]]:
    root = Root(settings=settings)
    other = await asyncpg.connect(settings.database_url)
    slow = Slow(root.orders().catalogue(), other)
    root.orders().catalogue.override(slow)
    try:
        app = create_app(root)
        async with app.lifespan(), application.in_process(app) as client:  # here statements are sent again and again on purpose
            yield Shop(client, root), slow
    finally:
        await application.close(root.shared)
        await other.close()


@pytest.fixture
async def contended(shop_and_catalogue: tuple[Shop, Slow]) -> AsyncIterator[Contended]:
    shop, catalogue = shop_and_catalogue
    made = (await shop.client.post("/v1/carts", json={"currency": "USD"})).json()
    guest, goods = {"Cart-Token": made["token"]}, [await shop.goods(stock=99), await shop.goods(stock=99)]
    path = f"/v1/carts/{made['cart']['id']}"
    details = {"email": "guest@example.org", "shipping_address": ADDRESS}
    await shop.client.patch(path, json=details, headers={**guest, "If-Match": "*"})
    for each in goods:
        await shop.client.post(f"{path}/items", json={"variant_id": each.variant_id}, headers=guest)
    cart = (await shop.client.get(path, headers=guest)).json()
    catalogue.watched = cart["id"]
    yield Contended(shop, catalogue, goods[0], cart, guest, shop.customer())
    catalogue.watched = None


Request = Callable[[Contended], tuple[str, str, Any]]

REQUESTS: Final[dict[str, Request]] = {
    "updateCart": lambda c: ("PATCH", f"/v1/carts/{c.cart['id']}", {"email": "ada@example.org"}),
    "addCartItem": lambda c: ("POST", f"/v1/carts/{c.cart['id']}/items", {"variant_id": c.goods.variant_id}),
    "updateCartItem": lambda c: ("PATCH", c.item(), {"quantity": 2}),
    "removeCartItem": lambda c: ("DELETE", c.item(), None),
    "claimCart": lambda c: ("POST", f"/v1/carts/{c.cart['id']}/claim", None),
    "completeCart": lambda c: (
        "POST", f"/v1/carts/{c.cart['id']}/complete", {"expected_total": c.cart["total"], "payment_method": "pm_card_ok"}),
}  # fmt: skip


@pytest.mark.parametrize("operation", REQUESTS)
async def test_a_cart_that_never_stands_still_is_refused_and_stays_open(contended: Contended, operation: str) -> None:
    method, path, body = REQUESTS[operation](contended)
    headers = {**contended.guest, **(contended.ada if operation == "claimCart" else {}), "If-Match": "*", "Idempotency-Key": operation}
    refused: httpx.Response = await contended.shop.client.request(method, path, json=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "cart_moved"), refused.text
    contended.catalogue.watched = None
    left = (await contended.shop.client.get(f"/v1/carts/{contended.cart['id']}", headers=contended.guest)).json()
    assert (left["status"], left["version"]) == ("open", contended.cart["version"])
