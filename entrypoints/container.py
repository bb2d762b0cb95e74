"""The composition root: the only file that sees every module, two lines for each."""

from dependency_injector import containers, providers

from modules.catalog.container import CatalogContainer
from modules.identity.container import IdentityContainer
from modules.inventory.container import InventoryContainer
from modules.notifications.container import NotificationsContainer
from modules.orders.container import OrdersContainer
from modules.payments.container import PaymentsContainer
from shared.container import SharedContainer
from shared.infra.config import ConfigurationError, Settings, variable
from shared.module import Module


class Root(containers.DeclarativeContainer):
    settings = providers.Dependency(instance_of=Settings)
    shared = providers.Container(SharedContainer, settings=settings)

    identity = providers.Container(IdentityContainer, shared=shared)
    catalog = providers.Container(CatalogContainer, shared=shared)
    inventory = providers.Container(InventoryContainer, shared=shared)
    payments = providers.Container(PaymentsContainer, shared=shared)
    orders = providers.Container(
        OrdersContainer, shared=shared, catalog=catalog.facade, inventory=inventory.facade, payments=payments.facade
    )
    notifications = providers.Container(NotificationsContainer, shared=shared, identity=identity.facade, orders=orders.facade)

    modules = providers.List(identity.module, catalog.module, inventory.module, payments.module, orders.module, notifications.module)


def compose(settings: Settings) -> Root:
    """The whole of Tenon, wired and not yet started; raises ConfigurationError for a module that there is not."""
    root = Root(settings=settings)
    root.check_dependencies()
    hosted(root)
    return root


def hosted(root: Root) -> list[Module]:
    """The modules that this process hosts; raises ConfigurationError for a name that there is not, and for too few connections:
    with fewer than two for each role, modules would keep taking them from each other."""
    modules: list[Module] = root.modules()
    wanted = root.settings().modules
    names = [module.name for module in modules]
    if unknown := [name for name in wanted if name not in names]:
        raise ConfigurationError([f"{variable('modules')}: there is no module {', '.join(unknown)}; choose from {', '.join(names)}"])
    found = [module for module in modules if not wanted or module.name in wanted]
    if root.settings().db_connections < 2 * len(found):
        raise ConfigurationError([f"{variable('db_connections')}: {len(found)} modules need {2 * len(found)} or more"])
    return found
