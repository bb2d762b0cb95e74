"""One transaction of identity."""

from modules.identity.infra.links import SqlLinks
from modules.identity.infra.sessions import SqlSessions
from modules.identity.infra.users import SqlUsers
from shared.infra.db.unit_of_work import UnitOfWork


class SqlWork:
    def __init__(self, uow: UnitOfWork) -> None:
        self.users = SqlUsers(uow)
        self.links = SqlLinks(uow)
        self.sessions = SqlSessions(uow)
        self.record = uow.record
        self.enqueue = uow.enqueue
        self.begin_saga = uow.begin_saga
        self.wake_saga = uow.wake_saga
