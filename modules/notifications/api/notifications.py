"""Which notifications went out, for staff."""

from litestar import Controller
from litestar.di import NamedDependency
from litestar.params import FromQuery

from modules.notifications.domain.views import NotificationQueries, NotificationView
from shared.api.answers import Reply
from shared.api.paging import Page, Paging
from shared.api.routes import get
from shared.api.types import Id


class Notifications(Controller):
    path = "/v1/notifications"
    tags = ("notifications",)

    @get(operation="listNotifications")
    async def find(
        self, paging: Paging, notifications: NamedDependency[NotificationQueries], about: FromQuery[Id | None] = None
    ) -> Reply[Page[NotificationView]]:
        """What was sent, the newest first; `about` is the id of a user or an order."""
        return paging.page(await notifications.find(paging.request, about))
