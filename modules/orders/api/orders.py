"""Orders over HTTP."""

from typing import Any

from litestar import Controller, Request
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from modules.orders.api.schemas import CancelOrder
from modules.orders.domain.errors import CompletionInProgress
from modules.orders.domain.order import OrderStatus
from modules.orders.domain.orders import OrderService
from modules.orders.domain.views import OrderRow, OrderView, StillRunning, TimelineEntry
from shared.api.answers import Reply, accepted, ok
from shared.api.conditional import if_match
from shared.api.idempotency import once
from shared.api.paging import Page, Paging
from shared.api.routes import get, post
from shared.api.types import Id
from shared.domain.context import current
from shared.domain.errors import IllegalTransition, NotFound


class Orders(Controller):
    path = "/v1/orders"
    tags = ("orders",)

    @get(operation="listOrders")
    async def find(
        self, paging: Paging, orders: NamedDependency[OrderService], status: FromQuery[OrderStatus | None] = None
    ) -> Reply[Page[OrderRow]]:
        """One's own orders, or, for staff, everybody's; the newest first."""
        return paging.page(await orders.find(current().principal, status, paging.request))

    @get("/{order_id:str}", operation="getOrder", errors=[NotFound])
    async def read(self, order_id: FromPath[Id], orders: NamedDependency[OrderService]) -> Reply[OrderView]:
        """An order as it was agreed, and where it stands."""
        return ok(await orders.read(current().principal, order_id))

    @get("/{order_id:str}/timeline", operation="listTimelineEntries", errors=[NotFound])
    async def timeline(self, order_id: FromPath[Id], paging: Paging, orders: NamedDependency[OrderService]) -> Reply[Page[TimelineEntry]]:
        """Everything that happened to an order, in order."""
        return paging.page(await orders.timeline(current().principal, order_id, paging.request))

    @post(
        "/{order_id:str}/cancel",
        operation="cancelOrder",
        errors=[NotFound, IllegalTransition, CompletionInProgress],
        status=200,
        if_match="optional",
        money=True,
        answers={202: StillRunning},
    )
    async def cancel(
        self, order_id: FromPath[Id], data: CancelOrder, request: Request[Any, Any, Any], orders: NamedDependency[OrderService]
    ) -> Reply[OrderView]:
        """Call an order off before goods have left: the money and the stock go back."""
        work = orders.cancel(current().principal, order_id, data.reason, if_match(request))
        return await once(request, work, cancelled, outcome=OrderView)


def cancelled(result: OrderView | StillRunning) -> Reply[Any]:
    if isinstance(result, StillRunning):
        return accepted(result, f"/v1/operations/{result.operation_id}")
    return ok(result)
