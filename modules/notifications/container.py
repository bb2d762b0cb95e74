"""How notifications is put together."""

from dependency_injector import containers, providers

from modules.notifications.api.notifications import Notifications
from modules.notifications.domain.policy import POLICY
from modules.notifications.domain.service import Notifier
from modules.notifications.infra.identity import IdentityAdapter
from modules.notifications.infra.mail import Composer, mailer
from modules.notifications.infra.orders import OrdersAdapter
from modules.notifications.infra.rendering import TemplateRenderer
from modules.notifications.infra.retention import RETENTIONS
from modules.notifications.infra.store import SqlNotificationQueries, SqlWork
from modules.notifications.infra.subscribers import subscriptions
from modules.notifications.public import PUBLISHES
from shared.infra.db.database import Database
from shared.infra.db.transact import Transact
from shared.module import Module


class NotificationsContainer(containers.DeclarativeContainer):
    shared = providers.DependenciesContainer()
    identity: providers.Dependency[object] = providers.Dependency()
    orders: providers.Dependency[object] = providers.Dependency()

    settings = shared.settings.provided
    database = providers.Singleton(Database, shared.connections, "notifications")
    transact = providers.Singleton(Transact, database, SqlWork, events=PUBLISHES)
    queries = providers.Singleton(SqlNotificationQueries, database)

    people = providers.Singleton(IdentityAdapter, identity)
    order_book = providers.Singleton(OrdersAdapter, orders)
    renderer = providers.Singleton(TemplateRenderer)
    composer = providers.Singleton(Composer, settings.mail_from, shared.clock)
    sender = providers.Singleton(mailer, settings.mail_url, composer)
    notifier = providers.Singleton(Notifier, transact, people, order_book, renderer, sender)

    module = providers.Singleton(
        Module,
        name="notifications",
        database=database,
        work=providers.Object(SqlWork),
        controllers=(Notifications,),
        use_cases=providers.Dict(notifications=queries),
        policy=POLICY,
        publishes=PUBLISHES,
        subscriptions=providers.Singleton(subscriptions, notifier),
        retentions=RETENTIONS,
    )
