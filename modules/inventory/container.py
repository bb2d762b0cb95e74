"""How the inventory is put together."""

from dependency_injector import containers, providers

from modules.inventory.api.reservations import Reservations
from modules.inventory.api.stock import StockLevels, StockLocations, StockMovements
from modules.inventory.domain.policy import POLICY
from modules.inventory.domain.service import ReservationService
from modules.inventory.domain.stock import StockService
from modules.inventory.infra.queries import SqlInventoryQueries
from modules.inventory.infra.retention import RETENTIONS
from modules.inventory.infra.sweeper import regularly, sweeping
from modules.inventory.infra.work import SqlWork
from modules.inventory.public import PUBLISHES, Inventory
from shared.infra.db.database import Database
from shared.infra.db.transact import Transact
from shared.infra.remote import inproc
from shared.module import Module


class InventoryContainer(containers.DeclarativeContainer):
    shared = providers.DependenciesContainer()

    database = providers.Singleton(Database, shared.connections, "inventory")
    transact = providers.Singleton(Transact, database, SqlWork, events=PUBLISHES)
    queries = providers.Singleton(SqlInventoryQueries, database)

    reservations = providers.Singleton(ReservationService, transact, queries)
    stock = providers.Singleton(StockService, transact, queries)
    facade = providers.Singleton(inproc, Inventory, reservations)

    sweep = providers.Singleton(sweeping, reservations)
    sweep_regularly = providers.Singleton(regularly, sweep)

    module = providers.Singleton(
        Module,
        name="inventory",
        database=database,
        work=providers.Object(SqlWork),
        controllers=(StockLocations, StockLevels, StockMovements, Reservations),
        use_cases=providers.Dict(stock=stock, reservations=reservations),
        policy=POLICY,
        publishes=PUBLISHES,
        tasks=providers.List(sweep),
        crons=providers.List(sweep_regularly),
        retentions=RETENTIONS,
    )
