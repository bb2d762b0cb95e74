"""Notifications on Postgres."""

from typing import Final

from modules.notifications.domain.notification import Notification, Status
from modules.notifications.domain.views import NotificationView
from shared.domain.page import PageRequest, Slice, cut
from shared.infra.db.database import Database
from shared.infra.db.recording import Recording
from shared.infra.db.unit_of_work import UnitOfWork

_BEGIN: Final = """
insert into notification as n (id, event_id, template, recipient, about, locale, status) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (event_id, template, recipient) do update set attempts = n.attempts + 1
returning id, status, version
"""
_END: Final = """
update notification set status = $2, version = version + 1, ended_at = now(), last_error = null
where id = $1 and status = 'sending' returning id
"""
_NOTE_FAILURE: Final = "update notification set last_error = $2 where id = $1 and status = 'sending'"

_VIEW: Final = """
select id, template, channel, status, recipient, about, locale, event_id, attempts, created_at, ended_at from notification
"""
# notification_pk, notification_by_about, both backwards. Both keys are compared together, so that no guess at how many are about the
# same leads to the index of the other.
_ALL: Final = _VIEW + "where id < $2 order by id desc limit $1"
_ABOUT: Final = _VIEW + "where about >= $3 and (about, id) < ($3, $2) order by about desc, id desc limit $1"


class SqlNotifications:
    """Implements Notifications in one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def begin(self, notification: Notification) -> Notification:
        known = notification
        row = await self._uow.fetchrow(
            _BEGIN, known.id, known.event_id, known.template, known.recipient, known.about, known.locale, known.status
        )
        if row is None:
            raise AssertionError("an upsert always returns its row")
        return Notification(
            row["id"], known.event_id, known.template, known.recipient, known.about, known.locale, Status(row["status"]), row["version"]
        )

    async def end(self, notification: Notification, status: Status) -> bool:
        return await self._uow.fetchrow(_END, notification.id, status) is not None

    async def note_failure(self, notification: Notification, error: str) -> None:
        await self._uow.execute(_NOTE_FAILURE, notification.id, error)


class SqlWork(Recording):
    """Implements Work."""

    def __init__(self, uow: UnitOfWork) -> None:
        super().__init__(uow)
        self.notifications = SqlNotifications(uow)


class SqlNotificationQueries:
    """Implements NotificationQueries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, page: PageRequest, about: str | None) -> Slice[NotificationView]:
        if about is None:
            views = await self._database.views(NotificationView, _ALL, page.limit + 1, page.before)
        else:
            views = await self._database.views(NotificationView, _ABOUT, page.limit + 1, page.before, about)
        return cut(views, page, lambda view: (view.id,))
