"""How the catalog is put together."""

from dependency_injector import containers, providers

from modules.catalog.api.categories import Categories
from modules.catalog.api.price_changes import PriceChanges
from modules.catalog.api.products import Products
from modules.catalog.api.variants import Variants
from modules.catalog.domain.policy import POLICY
from modules.catalog.domain.repricing import CHANGE_PRICES, Repricing
from modules.catalog.domain.service import CatalogService
from modules.catalog.domain.tree import CategoryService
from modules.catalog.infra.cached import CachedCatalogQueries
from modules.catalog.infra.queries import SqlCatalogQueries
from modules.catalog.infra.repricing import changing_prices
from modules.catalog.infra.subscribers import subscriptions
from modules.catalog.infra.work import SqlWork
from modules.catalog.public import PUBLISHES, Catalog
from shared.infra.db.database import Database
from shared.infra.db.transact import Transact
from shared.infra.remote import inproc
from shared.module import Module


class CatalogContainer(containers.DeclarativeContainer):
    shared = providers.DependenciesContainer()

    database = providers.Singleton(Database, shared.connections, "catalog")
    transact = providers.Singleton(Transact, database, SqlWork, events=PUBLISHES, tasks=(CHANGE_PRICES,))
    sql_queries = providers.Singleton(SqlCatalogQueries, database)
    queries = providers.Singleton(CachedCatalogQueries, sql_queries, shared.cache, database)

    products = providers.Singleton(CatalogService, transact, queries, shared.clock)
    categories = providers.Singleton(CategoryService, transact, queries)
    repricing = providers.Singleton(Repricing, transact, queries, shared.clock)
    facade = providers.Singleton(inproc, Catalog, products)

    module = providers.Singleton(
        Module,
        name="catalog",
        database=database,
        work=providers.Object(SqlWork),
        controllers=(Products, Variants, PriceChanges, Categories),
        use_cases=providers.Dict(products=products, categories=categories, repricing=repricing),
        policy=POLICY,
        publishes=PUBLISHES,
        tasks=providers.List(providers.Singleton(changing_prices, repricing)),
        subscriptions=providers.Singleton(subscriptions, queries),
    )
