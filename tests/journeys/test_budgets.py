"""How many statements a request may cost, on the whole application: one too many is found here, with the list of all of them."""

import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from entrypoints.container import Root
from entrypoints.http import create_app
from shared.infra.config import Settings, load
from shared.infra.db.connections import connector
from tests.support import application
from tests.support.queries import Transport, Wire, query_budget
from tests.support.shop import Shop

LIST = 50


class Meter:
    """Sends requests, holds what each of them costs against its budget, and what it says to cost against what goes over the wire."""

    def __init__(self, shop: Shop, wire: Wire) -> None:
        self.shop = shop
        self._wire = wire

    async def cost(self, budget: int, method: str, path: str, body: object = None, **headers: str) -> Any:
        answer = await self.answer(budget, method, path, body, **headers)
        assert answer.is_success, answer.text
        return answer.json()

    async def answer(self, budget: int, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        await self._wire.heard()
        with query_budget(budget) as spent:
            answer = await self.shop.client.request(method, path, json=body, headers=headers)
        sent = await self._wire.heard()
        listed = "\n".join(" ".join(each.sql.split()) for each in sent)
        assert (counted(answer), spent.count) == (len(sent), len(sent)), f"{method} {path} counts wrongly, and sends:\n{listed}"
        return answer


def counted(answer: httpx.Response) -> int:
    match = re.search(r'desc="(\d+) statements"', answer.headers["server-timing"])
    assert match is not None
    return int(match[1])


def once() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(8)}


@pytest.fixture(scope="module")
async def meter(settings: Settings) -> AsyncIterator[Meter]:
    """In development, where every answer says what it has cost; without the lifespan, whose loops send statements of their own:
    to notify the workers, at most once in ten milliseconds for all requests."""
    wire = Wire()
    root = Root(settings=load(application.environment_of(settings) | {"TENON_ENVIRONMENT": "development"}))
    connect = connector(settings.database_url, application.password_of)
    root.shared.connect.override(wire.tapped(connect))  # before any module has taken its connections
    transport = Transport(create_app(root))  # type: ignore[arg-type]  # Litestar types its scope more narrowly
    with wire.hearing_guests():
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield Meter(Shop(client, root), wire)
    await application.close(root.shared)


async def test_reading_products(meter: Meter):
    goods = [await meter.shop.goods(stock=0) for _ in range(3)]
    product = (await meter.shop.client.get(f"/v1/variants/{goods[0].variant_id}")).json()["product_id"]

    await meter.cost(1, "GET", f"/v1/products/{product}")
    await meter.cost(1, "GET", f"/v1/variants/{goods[0].variant_id}")
    await meter.cost(1, "GET", f"/v1/products?limit={LIST}")
    found = await meter.cost(1, "GET", f"/v1/products/search?q=stool&limit={LIST}")
    assert len(found["data"]) >= len(goods)


async def test_making_and_publishing_a_product(meter: Meter):
    name = secrets.token_hex(6)
    price = {"list_price": {"amount": 1500, "currency": "USD"}}
    body = {"title": "A stool", "slug": name, "variants": [{"sku": f"{name.upper()}-{n}", "prices": [price]} for n in range(3)]}
    product = await meter.cost(5, "POST", "/v1/products", body, **meter.shop.admin, **once())
    await meter.cost(6, "POST", f"/v1/products/{product['id']}/publish", **meter.shop.admin, **once())
    assert (await meter.answer(2, "POST", "/v1/products", body, **meter.shop.admin, **once())).status_code == 409


async def test_filling_a_cart(meter: Meter):
    who, goods = meter.shop.customer(), [await meter.shop.goods(stock=0) for _ in range(3)]
    cart = (await meter.cost(1, "POST", "/v1/carts", {"currency": "USD"}, **who))["cart"]
    for each in goods:
        wanted = {"variant_id": each.variant_id, "quantity": 2}
        await meter.cost(6, "POST", f"/v1/carts/{cart['id']}/items", wanted, **who, **once())

    seen = await meter.cost(2, "GET", f"/v1/carts/{cart['id']}", **who)
    assert len(seen["items"]) == 3


@pytest.mark.parametrize("lines", [1, 10])
async def test_completing_a_cart(meter: Meter, lines: int):
    """Its reservation, payment, bookings and events, however long it is; the two calls of the built-in provider are counted, too."""
    who, goods = meter.shop.customer(), [await meter.shop.goods(stock=9) for _ in range(lines)]
    cart = await meter.shop.cart(who, *((each, 2) for each in goods))
    body = {"expected_total": cart["total"], "payment_method": "pm_card_ok"}
    order = await meter.cost(33, "POST", f"/v1/carts/{cart['id']}/complete", body, **who, **once())
    assert (len(order["lines"]), order["payment_status"]) == (lines, "paid")


async def test_asking_again_with_the_same_key(meter: Meter):
    who, key = meter.shop.customer(), once()
    cart = await meter.shop.cart(who, (await meter.shop.goods(stock=9), 1))
    body = {"expected_total": cart["total"], "payment_method": "pm_card_ok"}
    first = await meter.cost(33, "POST", f"/v1/carts/{cart['id']}/complete", body, **who, **key)
    again = await meter.cost(3, "POST", f"/v1/carts/{cart['id']}/complete", body, **who, **key)
    assert again == first


async def test_reading_and_cancelling_an_order(meter: Meter):
    who = meter.shop.customer()
    order = await meter.shop.order(who, (await meter.shop.goods(stock=9), 1))

    await meter.cost(1, "GET", f"/v1/orders/{order['id']}", **who)
    await meter.cost(1, "GET", f"/v1/orders?limit={LIST}", **who)
    await meter.cost(1, "GET", f"/v1/orders/{order['id']}/timeline", **who)
    await meter.cost(23, "POST", f"/v1/orders/{order['id']}/cancel", {"reason": "too large"}, **who, **once())


async def test_stock(meter: Meter):
    goods = await meter.shop.goods(stock=9)
    body = {"kind": "received", "sku": goods.sku, "quantity": 2, "reason": "delivery"}
    await meter.cost(6, "POST", "/v1/stock_movements", body, **meter.shop.admin, **once())
    await meter.cost(1, "GET", f"/v1/stock_levels?sku={goods.sku}", **meter.shop.admin)
    await meter.cost(1, "GET", f"/v1/stock_movements?limit={LIST}", **meter.shop.admin)
    wanted = {"lines": [{"sku": goods.sku, "quantity": 1}], "seconds": 60}
    await meter.cost(4, "POST", "/v1/reservations", wanted, **meter.shop.admin, **once())


async def test_a_budget_that_is_exceeded_names_every_statement(meter: Meter):
    with pytest.raises(AssertionError, match=r"1 statements, and 0 are the budget:\n +1 times with recursive page"):
        await meter.cost(0, "GET", "/v1/products")
