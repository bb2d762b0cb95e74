"""Reading products: the whole application, and a bare ASGI application that sends the same SQL and shows the same views."""

import secrets
from typing import Any

import msgspec
from asyncpg import Record

from benchmarks.asgi import App
from benchmarks.http import clients, served
from benchmarks.measure import Spread, share
from benchmarks.report import Row
from benchmarks.stage import Bare, Stage
from modules.catalog.domain.views import ProductView, VariantView
from modules.catalog.infra.statements import PRODUCT, PRODUCTS, Shape

ON_SALE = 60
PAGE = 50
PLAIN = Shape(category=False, between=False, after=False)

_encode = msgspec.json.Encoder().encode
_words = msgspec.json.Decoder(dict[str, str]).decode
_variants = msgspec.json.Decoder(list[VariantView]).decode


async def rows(stage: Stage) -> list[Row]:
    one = [f"/v1/products/{await product(stage)}" for _ in range(ON_SALE)]
    page = [f"/v1/products?limit={PAGE}"]
    async with (
        stage.bare("catalog", stage.settings.db_connections) as bare,
        clients() as crowd,
        served(bare_app(bare)) as peer,
        served(stage.app) as ours,
    ):

        async def compared(paths: list[str], number: int, at_once: int) -> Spread:
            return await share(*(crowd.asking(port, paths, number, at_once) for port in (peer, ours)), rounds=30)

        return [
            Row("GET product, whole stack / bare", await compared(one, 256, 32), goal=0.70),
            Row("GET product, 256 at once, whole stack / bare", await compared(one, 512, 256), goal=0.85),
            Row(f"list of {PAGE} x 3, whole stack / bare", await compared(page, 24, 8), goal=0.75),
        ]


async def product(stage: Stage) -> str:
    """The id of a published one with three variants."""
    name = secrets.token_hex(6)
    price = {"list_price": {"amount": 1500, "currency": "USD"}}
    variants = [{"sku": f"{name.upper()}-{number}", "prices": [price]} for number in range(3)]
    body = {"title": f"Stool {name}", "slug": name, "variants": variants}
    answer = await stage.shop.client.post("/v1/products", json=body, headers=stage.shop.admin)
    product_id = str(answer.raise_for_status().json()["id"])
    published = await stage.shop.client.post(f"/v1/products/{product_id}/publish", headers=stage.shop.admin)
    published.raise_for_status()
    return product_id


def bare_app(bare: Bare) -> App:
    """Two routes, one statement each, and the same views as JSON."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        product_id = scope["path"].removeprefix("/v1/products").removeprefix("/")
        if product_id:
            body = _encode(view((await bare.fetch(PRODUCT, [product_id], False))[0]))
        else:
            found = await bare.fetch(PRODUCTS["-created_at", PLAIN], ["published"], PAGE + 1)
            body = _encode({"data": [view(row) for row in found[:PAGE]], "has_more": len(found) > PAGE})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def view(row: Record) -> ProductView:
    own, version, title, slug, description, status, category_id, published, created, updated, attributes, variants = row
    words, parts = _words(attributes), _variants(variants)
    return ProductView(own, version, title, slug, description, status, category_id, published, created, updated, words, parts)
