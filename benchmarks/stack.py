"""What the production stack adds to a request: CPU in this process, without sockets and SQL, beside a bare Litestar application."""

from asyncio import sleep
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from litestar import Litestar, get
from litestar.params import FromPath

from benchmarks.asgi import App, Request, send
from benchmarks.collector import collecting
from benchmarks.measure import Spread, Window, cpu, pairs, undisturbed
from benchmarks.report import Row
from benchmarks.stage import Stage
from entrypoints.container import Root
from entrypoints.http import create_app
from modules.catalog.domain.service import CatalogService
from modules.catalog.domain.views import ProductView
from shared.domain.ids import new_id
from shared.infra.tracing import exporting
from tests.support.application import close

WINDOWS: Final = 1000
REQUESTS: Final = 40
FEW: Final = 0.05
"""The share of traces that are recorded where nothing else is set."""


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
        alone, untraced = await beside_litestar(stage, shelf, trace_ratio=0.0)
        _, traced = await beside_litestar(stage, shelf, trace_ratio=1.0)
    few = [never + FEW * (always - never) for never, always in zip(untraced, traced, strict=True)]
    return [
        cost(f"the production stack's cost per request, {FEW:.0%} traced", alone, few, goal=30),
        cost("the production stack's cost per request, all traced", alone, traced, goal=80, note="without the thread that exports"),
        ratio(f"a request in process, without SQL, whole stack / bare Litestar, {FEW:.0%} traced", alone, few),
        ratio("a request in process, without SQL, whole stack / bare Litestar, all traced", alone, traced),
    ]


def cost(name: str, alone: Sequence[float], ours: Sequence[float], *, goal: float, note: str = "") -> Row:
    spread = Spread.of([own - bare for bare, own in zip(alone, ours, strict=True)])
    return Row(name, spread, goal=goal, unit=" µs", most=True, note=note)


def ratio(name: str, alone: Sequence[float], ours: Sequence[float]) -> Row:
    return Row(name, Spread.of([own / bare for bare, own in zip(alone, ours, strict=True)]), most=True, steady=True)


async def beside_litestar(stage: Stage, shelf: Shelf, *, trace_ratio: float) -> tuple[list[float], list[float]]:
    """Microseconds of a request by Litestar alone, and by ours."""
    root = Root(settings=msgspec.structs.replace(stage.settings, trace_ratio=trace_ratio))
    root.catalog.products.override(shelf)
    try:
        found = await pairs(cpu(asking(litestar(shelf))), cpu(asking(create_app(root))), stage.some(WINDOWS))
    finally:
        await close(root.shared)
    bare, ours = zip(*found, strict=True)
    return of_request(bare), of_request(ours)


def of_request(windows: Sequence[float]) -> list[float]:
    return [each / REQUESTS * 1e6 for each in undisturbed(windows, 10)]


def asking(app: App) -> Window:
    request = Request("GET", f"/v1/products/{new_id('prd')}")

    async def window() -> None:
        for _ in range(REQUESTS):
            await send(app, request)
            await sleep(0)  # as between any two requests: timers that were cancelled go then

    return window


def litestar(shelf: Shelf) -> Litestar:
    @get("/v1/products/{product_id:str}")
    async def read(product_id: FromPath[str]) -> ProductView:
        return await shelf.product(product_id, drafts=False)

    return Litestar([read], openapi_config=None, logging_config=None)
