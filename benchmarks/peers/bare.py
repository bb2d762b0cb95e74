"""The least that answers: an ASGI application that sends the same SQL by asyncpg and shows the same views."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from asyncpg import Record

from benchmarks.asgi import App
from benchmarks.stage import Bare
from modules.catalog.domain.views import ProductView, VariantView
from modules.catalog.infra.statements import PRODUCT, PRODUCTS, Shape

PLAIN = Shape(category=False, lower=False, upper=False)
SINCE = Shape(category=False, lower=True, upper=False)
EVER = datetime(2000, 1, 1, tzinfo=UTC), ""
"""What a list since then begins after: a time, and no id."""

_encode = msgspec.json.Encoder().encode
_words = msgspec.json.Decoder(dict[str, str]).decode
_variants = msgspec.json.Decoder(list[VariantView]).decode


def bare_app(bare: Bare, page: int) -> App:
    """Two routes, one statement each, and the same views as JSON."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        product_id = scope["path"].removeprefix("/v1/products").removeprefix("/")
        if product_id:
            body = _encode(view((await bare.fetch(PRODUCT, [product_id], False))[0]))
        else:
            shape, since = (SINCE, EVER) if b"created_at" in scope["query_string"] else (PLAIN, ())
            found = await bare.fetch(PRODUCTS["-created_at", shape], ["published"], page + 1, *since)
            body = _encode({"data": [view(row) for row in found[:page]], "has_more": len(found) > page})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def view(row: Record) -> ProductView:
    own, version, title, slug, description, status, category_id, published, created, updated, attributes, variants = row
    words, parts = _words(attributes), _variants(variants)
    return ProductView(own, version, title, slug, description, status, category_id, published, created, updated, words, parts)
