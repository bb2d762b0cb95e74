"""What the catalog hears of itself: whatever changes a product ends the life of the pages that are kept of it."""

import msgspec

from modules.catalog.infra.cached import CachedCatalogQueries
from modules.catalog.public import PUBLISHES
from shared.domain.events import Delivery
from shared.infra.events.subscription import On, Subscription


class Changed(msgspec.Struct, frozen=True):
    product_id: str


def subscriptions(queries: CachedCatalogQueries) -> tuple[Subscription[object], ...]:
    async def changed(_: Delivery[Changed], __: str) -> None:
        await queries.renew()

    on = {event.event_type: On(Changed, changed) for event in PUBLISHES}
    return (Subscription("catalog.front", "catalog", "outbound", on, start="now"),)
