"""One transaction of orders: its stores on the chassis' unit of work."""

from modules.orders.infra.cart_store import SqlCarts
from modules.orders.infra.checkout_store import SqlCheckouts
from modules.orders.infra.order_store import SqlOrders
from shared.infra.db.recording import Recording
from shared.infra.db.unit_of_work import UnitOfWork


class SqlWork(Recording):
    def __init__(self, uow: UnitOfWork) -> None:
        super().__init__(uow)
        self.carts = SqlCarts(uow)
        self.orders = SqlOrders(uow)
        self.checkouts = SqlCheckouts(uow)
