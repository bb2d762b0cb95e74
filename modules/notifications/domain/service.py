"""Reacting to what happened elsewhere: find out whom to tell, write down that we do, send, write down how that ended."""

from collections.abc import Mapping

from modules.notifications.domain.notification import Notification, Status, Template
from modules.notifications.domain.ports import Addressee, Mail, Mailer, Order, OrderBook, People, Renderer, Undeliverable, Work
from modules.notifications.public import NotificationBounced, NotificationSent
from shared.domain.guard import outbound
from shared.domain.ids import new_id
from shared.domain.work import Transact

GUESTS_LOCALE = "en"


class Notifier:
    """Every method may be called again for the same event: what was sent is not sent again, and what may have been sent is
    repeated under the same Message-ID."""

    def __init__(self, transact: Transact[Work], people: People, orders: OrderBook, renderer: Renderer, mailer: Mailer) -> None:
        self._transact = transact
        self._people = people
        self._orders = orders
        self._renderer = renderer
        self._mailer = mailer

    async def verify_address(self, event_id: str, user_id: str) -> None:
        addressee = await self._people.addressee(user_id)
        link = await self._people.verification_link(user_id, event_id)
        if addressee is not None and link is not None:
            await self._tell(event_id, Template.VERIFY_ADDRESS, addressee, user_id, {"link": link})

    async def registration_repeated(self, event_id: str, user_id: str, verified: bool) -> None:
        """The owner of an account learns that somebody used its address; who never confirmed it gets another link."""
        if not verified:
            await self.verify_address(event_id, user_id)
        elif (addressee := await self._people.addressee(user_id)) is not None:
            await self._tell(event_id, Template.ACCOUNT_EXISTS, addressee, user_id, {})

    async def order_paid(self, event_id: str, order_id: str) -> None:
        await self._about_order(event_id, Template.ORDER_CONFIRMED, order_id)

    async def order_cancelled(self, event_id: str, order_id: str) -> None:
        await self._about_order(event_id, Template.ORDER_CANCELLED, order_id)

    async def _about_order(self, event_id: str, template: Template, order_id: str) -> None:
        order = await self._orders.order(order_id)
        addressee = await self._buyer(order) if order is not None else None
        if order is not None and addressee is not None:
            await self._tell(event_id, template, addressee, order_id, {"order": order})

    async def _buyer(self, order: Order) -> Addressee | None:
        if order.user_id is not None:
            return await self._people.addressee(order.user_id)
        if order.guest_email is not None:
            return Addressee(recipient=f"guest:{order.id}", email=order.guest_email, name="", locale=GUESTS_LOCALE)
        return None

    async def _tell(self, event_id: str, template: Template, addressee: Addressee, about: str, facts: Mapping[str, object]) -> None:
        content = self._renderer.render(template, addressee.locale, {**facts, "name": addressee.name})
        begun = Notification(new_id("ntf"), event_id, template, addressee.recipient, about, content.locale)
        notification = await self._transact(lambda work: work.notifications.begin(begun))
        if notification.status is not Status.SENDING:
            return
        outbound("sending a mail")
        try:
            await self._mailer.send(Mail(id=notification.id, email=addressee.email, name=addressee.name, content=content))
        except Undeliverable:
            await self._end(notification, Status.BOUNCED)
        except Exception as error:
            reason = type(error).__name__
            await self._transact(lambda work: work.notifications.note_failure(notification, reason))
            raise
        else:
            await self._end(notification, Status.SENT)

    async def _end(self, notification: Notification, status: Status) -> None:
        kind = NotificationSent if status is Status.SENT else NotificationBounced

        async def end(work: Work) -> None:
            if await work.notifications.end(notification, status):
                event = kind(notification_id=notification.id, template=notification.template, about=notification.about)
                work.record(event, version=notification.version + 1)

        await self._transact(end)
