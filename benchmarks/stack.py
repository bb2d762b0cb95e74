"""What the production stack adds to a request: CPU in this process, without sockets and SQL, beside a bare Litestar application."""

from datetime import UTC, datetime
from typing import Final

import msgspec
from litestar import Litestar, get
from litestar.params import FromPath

from benchmarks.asgi import App, Request, send
from benchmarks.collector import collecting
from benchmarks.measure import Spread, Window, cpu, pairs
from benchmarks.report import Row
from benchmarks.stage import Stage
from entrypoints.container import Root
from entrypoints.http import create_app
from modules.catalog.domain.service import CatalogService
from modules.catalog.domain.views import ProductView
from shared.domain.ids import new_id
from shared.infra.tracing import exporting
from tests.support.application import close

SPANS_OF_EXPORT: Final = 512
"""As many as OpenTelemetry sends together; a window has so many, so that each pays for sending its own."""


class Shelf(CatalogService):
    """A product out of memory."""

    def __init__(self, view: ProductView) -> None:
        self._view = view

    async def product(self, product_id: str, *, drafts: bool) -> ProductView:
        return self._view


async def rows(stage: Stage) -> list[Row]:
    now = datetime.now(UTC)
    shelf = Shelf(ProductView(new_id("prd"), 1, "Stool", "stool", "", "published", None, now, now, now, {}, []))
    async with collecting() as collector, exporting(collector):
        few, little = await beside_litestar(stage, shelf, 0.05, rounds=6)
        all_, much = await beside_litestar(stage, shelf, 1.0, rounds=16)
    name = "a request in process, without SQL, whole stack / bare Litestar"
    return [
        Row("the production stack's cost per request, 5 % traced", few, goal=30, unit=" µs", most=True),
        Row("the production stack's cost per request, all traced", all_, goal=80, unit=" µs", most=True),
        Row(f"{name}, 5 % traced", little, most=True, steady=True),
        Row(f"{name}, all traced", much, most=True, steady=True),
    ]


async def beside_litestar(stage: Stage, shelf: Shelf, ratio: float, *, rounds: int) -> tuple[Spread, Spread]:
    """What the stack costs in microseconds per request; and what a request costs, of what it costs by Litestar alone."""
    number = stage.some(round(SPANS_OF_EXPORT / ratio), 16)
    settings = msgspec.structs.replace(stage.settings, trace_ratio=ratio)
    root = Root(settings=settings)
    root.catalog.products.override(shelf)
    bare, ours = asking(litestar(shelf), number), asking(create_app(root), number)
    try:
        found = await pairs(cpu(bare), cpu(ours), stage.some(rounds))
    finally:
        await close(root.shared)
    return Spread.of([(own - alone) / number * 1e6 for alone, own in found]), Spread.of([own / alone for alone, own in found])


def asking(app: App, number: int) -> Window:
    request = Request("GET", f"/v1/products/{new_id('prd')}")

    async def window() -> None:
        for _ in range(number):
            await send(app, request)

    return window


def litestar(shelf: Shelf) -> Litestar:
    @get("/v1/products/{product_id:str}")
    async def read(product_id: FromPath[str]) -> ProductView:
        return await shelf.product(product_id, drafts=False)

    return Litestar([read], openapi_config=None, logging_config=None)
