"""How orders is put together."""

from dependency_injector import containers, providers

from modules.orders.api.carts import Carts
from modules.orders.api.orders import Orders
from modules.orders.domain.cancellation import CancellationSteps
from modules.orders.domain.carts import CartService
from modules.orders.domain.checkout import CheckoutService
from modules.orders.domain.completion import CompletionSteps
from modules.orders.domain.orders import OrderService
from modules.orders.domain.policy import POLICY
from modules.orders.infra.catalog import CatalogAdapter
from modules.orders.infra.figures import FIGURES
from modules.orders.infra.inventory import InventoryAdapter
from modules.orders.infra.payments import PaymentsAdapter
from modules.orders.infra.queries import SqlOrderQueries
from modules.orders.infra.subscribers import SUBSCRIPTIONS
from modules.orders.infra.work import SqlWork
from modules.orders.public import PUBLISHES
from modules.orders.public import Orders as OrdersFacade
from shared.infra.db.database import Database
from shared.infra.db.transact import Transact
from shared.infra.remote import inproc
from shared.infra.saga.engine import SagaEngine
from shared.module import Module


class OrdersContainer(containers.DeclarativeContainer):
    shared = providers.DependenciesContainer()
    catalog: providers.Dependency[object] = providers.Dependency()
    inventory: providers.Dependency[object] = providers.Dependency()
    payments: providers.Dependency[object] = providers.Dependency()

    database = providers.Singleton(Database, shared.connections, "orders")
    queries = providers.Singleton(SqlOrderQueries, database)
    catalogue = providers.Singleton(CatalogAdapter, catalog)
    stock = providers.Singleton(InventoryAdapter, inventory)
    payment = providers.Singleton(PaymentsAdapter, payments)

    completion = providers.Singleton(CompletionSteps, stock, payment)
    cancellation = providers.Singleton(CancellationSteps, stock, payment)
    sagas = providers.List(completion.provided.saga.call(), cancellation.provided.saga.call())
    transact = providers.Singleton(Transact, database, SqlWork, events=PUBLISHES, sagas=sagas)
    engine = providers.Singleton(SagaEngine, database, SqlWork, sagas, events=PUBLISHES)

    carts = providers.Singleton(CartService, transact, queries, catalogue)
    checkout = providers.Singleton(CheckoutService, transact, queries, catalogue, engine, shared.settings.provided.reservation_seconds)
    orders = providers.Singleton(OrderService, transact, queries, engine)
    facade = providers.Singleton(inproc, OrdersFacade, orders)

    module = providers.Singleton(
        Module,
        name="orders",
        database=database,
        work=providers.Object(SqlWork),
        controllers=(Carts, Orders),
        use_cases=providers.Dict(carts=carts, checkout=checkout, orders=orders),
        policy=POLICY,
        publishes=PUBLISHES,
        subscriptions=SUBSCRIPTIONS,
        sagas=sagas,
        figures=FIGURES,
    )
