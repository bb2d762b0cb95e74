"""The unit of work of payments."""

from typing import Final

from modules.payments.infra.ledger import SqlLedger
from modules.payments.infra.queries import SqlPaymentQueries
from modules.payments.infra.store import SqlPayments
from shared.infra.db.recording import Recording
from shared.infra.db.unit_of_work import UnitOfWork

_FIRST: Final = (
    "insert into inbox (subscription, message_id) values ('payments.test_provider', $1) on conflict do nothing returning message_id"
)


class SqlInbox:
    """Implements Inbox for the webhooks of the provider."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def first(self, message_id: str) -> bool:
        return await self._uow.fetchrow(_FIRST, message_id) is not None


class SqlWork(Recording):
    """Implements Work."""

    def __init__(self, uow: UnitOfWork) -> None:
        super().__init__(uow)
        self.payments = SqlPayments(uow)
        self.ledger = SqlLedger(uow)
        self.inbox = SqlInbox(uow)
        self.queries = SqlPaymentQueries(uow)
