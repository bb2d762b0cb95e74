"""What notifications hears of its neighbours, and what it does about it outside any transaction."""

import msgspec

from modules.notifications.domain.service import Notifier
from shared.domain.events import Delivery
from shared.infra.events.subscription import On, Subscription, outbound


class Registered(msgspec.Struct, frozen=True):
    user_id: str


class Repeated(msgspec.Struct, frozen=True):
    user_id: str
    verified: bool


class OrderMoved(msgspec.Struct, frozen=True):
    order_id: str


def subscriptions(notifier: Notifier) -> tuple[Subscription[object], ...]:
    async def registered(delivery: Delivery[Registered], _: str) -> None:
        await notifier.verify_address(delivery.event_id, delivery.data.user_id)

    async def repeated(delivery: Delivery[Repeated], _: str) -> None:
        await notifier.registration_repeated(delivery.event_id, delivery.data.user_id, delivery.data.verified)

    async def paid(delivery: Delivery[OrderMoved], _: str) -> None:
        await notifier.order_paid(delivery.event_id, delivery.data.order_id)

    async def cancelled(delivery: Delivery[OrderMoved], _: str) -> None:
        await notifier.order_cancelled(delivery.event_id, delivery.data.order_id)

    return (
        outbound(
            "notifications.identity",
            "identity",
            {"identity.user_registered": On(Registered, registered), "identity.registration_repeated": On(Repeated, repeated)},
        ),
        outbound(
            "notifications.orders",
            "orders",
            {"orders.order_paid": On(OrderMoved, paid), "orders.order_cancelled": On(OrderMoved, cancelled)},
        ),
    )
