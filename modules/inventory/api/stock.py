"""Locations, levels and movements over HTTP."""

from typing import Any

from litestar import Controller, Request
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from modules.inventory.api.schemas import CreateMovement, LocationBody
from modules.inventory.domain.errors import LocationNameTaken, LocationUnknown, MovementInvalid
from modules.inventory.domain.stock import StockService
from modules.inventory.domain.views import LevelView, LocationView, MovementView
from modules.inventory.public import InsufficientStock
from shared.api.answers import Reply, created, ok
from shared.api.conditional import if_match
from shared.api.idempotency import once
from shared.api.paging import Page, Paging
from shared.api.routes import get, patch, post
from shared.api.types import Id, Sku
from shared.domain.context import current
from shared.domain.errors import IllegalTransition, NotFound


class StockLocations(Controller):
    path = "/v1/stock_locations"
    tags = ("inventory",)

    @get(operation="listStockLocations")
    async def find(self, paging: Paging, stock: NamedDependency[StockService]) -> Reply[Page[LocationView]]:
        """All stock locations."""
        return paging.page(await stock.locations(paging.request))

    @post(operation="createStockLocation", errors=[LocationNameTaken])
    async def create(
        self, data: LocationBody, request: Request[Any, Any, Any], stock: NamedDependency[StockService]
    ) -> Reply[LocationView]:
        """Add a place where stock lies."""
        return await once(request, stock.create_location(data.name), created("/v1/stock_locations"))

    @get("/{location_id:str}", operation="getStockLocation", errors=[NotFound])
    async def read(self, location_id: FromPath[Id], stock: NamedDependency[StockService]) -> Reply[LocationView]:
        """A stock location."""
        return ok(await stock.location(location_id))

    @patch("/{location_id:str}", operation="updateStockLocation", errors=[NotFound, LocationNameTaken])
    async def update(
        self, location_id: FromPath[Id], data: LocationBody, request: Request[Any, Any, Any], stock: NamedDependency[StockService]
    ) -> Reply[LocationView]:
        """Rename a stock location."""
        return ok(await stock.rename_location(location_id, data.name, expected_version=if_match(request)))


class StockLevels(Controller):
    path = "/v1/stock_levels"
    tags = ("inventory",)

    @get(operation="listStockLevels")
    async def find(
        self,
        paging: Paging,
        stock: NamedDependency[StockService],
        sku: FromQuery[Sku | None] = None,
        location: FromQuery[Id | None] = None,
    ) -> Reply[Page[LevelView]]:
        """How many there are of each SKU at each location, by SKU."""
        return paging.page(await stock.levels(sku, location, paging.request))


class StockMovements(Controller):
    path = "/v1/stock_movements"
    tags = ("inventory",)

    @get(operation="listStockMovements")
    async def find(
        self, paging: Paging, stock: NamedDependency[StockService], sku: FromQuery[Sku | None] = None
    ) -> Reply[Page[MovementView]]:
        """Why stock has changed, the latest first."""
        return paging.page(await stock.movements(sku, paging.request))

    @post(
        operation="createStockMovement",
        errors=[InsufficientStock, MovementInvalid, LocationUnknown, IllegalTransition, NotFound],
        idempotent="required",
    )
    async def create(
        self, data: CreateMovement, request: Request[Any, Any, Any], stock: NamedDependency[StockService]
    ) -> Reply[MovementView]:
        """Write down that stock came, went or was counted. There is no other way to change what is on hand."""
        work = stock.move(
            kind=data.kind,
            sku=data.sku,
            quantity=data.quantity,
            reason=data.reason,
            actor=current().principal.scope,
            location_id=data.location_id,
            to_location_id=data.to_location_id,
            reservation_id=data.reservation_id,
        )
        return await once(request, work, created("/v1/stock_movements"))
