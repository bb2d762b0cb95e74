"""One transaction of identity."""

from modules.identity.infra.links import SqlLinks
from modules.identity.infra.sessions import SqlSessions
from modules.identity.infra.users import SqlUsers
from shared.infra.db.recording import Recording
from shared.infra.db.unit_of_work import UnitOfWork


class SqlWork(Recording):
    def __init__(self, uow: UnitOfWork) -> None:
        super().__init__(uow)
        self.users = SqlUsers(uow)
        self.links = SqlLinks(uow)
        self.sessions = SqlSessions(uow)
