"""One transaction of orders: its stores on the chassis' unit of work."""

from modules.orders.infra.cart_store import SqlCarts
from modules.orders.infra.order_store import SqlOrders
from shared.infra.db.unit_of_work import UnitOfWork


class SqlWork:
    def __init__(self, uow: UnitOfWork) -> None:
        self.carts = SqlCarts(uow)
        self.orders = SqlOrders(uow)
        self.record = uow.record
        self.enqueue = uow.enqueue
        self.begin_saga = uow.begin_saga
        self.wake_saga = uow.wake_saga
