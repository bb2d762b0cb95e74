"""The use cases of placed orders, and the facade that neighbours ask."""

from collections.abc import Sequence

from modules.orders.domain.cancellation import CANCEL_ORDER, CancelOrder
from modules.orders.domain.checkout import patience
from modules.orders.domain.order import OrderStatus
from modules.orders.domain.owner import Owner, sees_all_orders
from modules.orders.domain.ports import Work
from modules.orders.domain.views import OrderQueries, OrderRow, OrderView, StillRunning, TimelineEntry
from modules.orders.public import OrderCancelled, OrderSummary
from shared.domain.context import Principal
from shared.domain.errors import NotFound, StaleVersion
from shared.domain.once import Pending
from shared.domain.page import PageRequest, Slice
from shared.domain.saga import Ended, Sagas
from shared.domain.work import Transact


class OrderService:
    def __init__(self, transact: Transact[Work], queries: OrderQueries, sagas: Sagas) -> None:
        self._transact = transact
        self._queries = queries
        self._sagas = sagas

    async def read(self, principal: Principal, order_id: str) -> OrderView:
        order = await self._queries.order(order_id, seen_by(principal))
        if order is None:
            raise NotFound("there is no such order")
        return order

    async def find(self, principal: Principal, status: OrderStatus | None, page: PageRequest) -> Slice[OrderRow]:
        return await self._queries.orders(seen_by(principal), status, page)

    async def timeline(self, principal: Principal, order_id: str, page: PageRequest) -> Slice[TimelineEntry]:
        timeline = await self._queries.timeline(order_id, seen_by(principal), page)
        if not timeline.items:
            raise NotFound("there is no such order")
        return timeline

    async def cancel(self, principal: Principal, order_id: str, reason: str, expected: int | None) -> OrderView | StillRunning:
        """Call an order off and give money and stock back. Raises IllegalTransition, CompletionInProgress."""
        owner = seen_by(principal)

        async def begin(work: Work) -> Pending:
            order = await work.orders.lock(order_id, owner)
            if expected is not None and expected != order.version:
                raise StaleVersion(f"the order is at version {order.version}")
            order.cancel(reason)
            order.saga_id = work.begin_saga(CANCEL_ORDER, CancelOrder.of(order, reason), key=order.id)
            await work.orders.save(order)
            work.record(OrderCancelled(order_id=order.id, cause="requested"), version=order.version)
            return Pending(order.saga_id)

        begun = await self._transact(begin)
        result = await self._sagas.run(begun.saga_id, OrderView, patience_s=patience())
        if isinstance(result, Ended):
            return result.outcome
        return StillRunning(operation_id=begun.saga_id, status="running")

    async def summaries(self, order_ids: Sequence[str]) -> list[OrderSummary]:
        return await self._queries.summaries(order_ids)


def seen_by(principal: Principal) -> Owner | None:
    """Staff sees every order, everybody else their own."""
    return None if sees_all_orders(principal) else Owner.of(principal)
