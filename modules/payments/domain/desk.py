"""What staff does with payments: the use cases behind the API."""

from modules.payments.domain.intent import Intent
from modules.payments.domain.ports import Work
from modules.payments.domain.service import PaymentsService, require_positive
from modules.payments.domain.views import IntentView, PaymentQueries, RefundView
from shared.domain.ids import new_id
from shared.domain.money import Money
from shared.domain.page import PageRequest, Slice
from shared.domain.work import Transact


class PaymentDesk:
    """An action takes several transactions with the provider's call between them, and is idempotent by `key`; what it has
    led to is then read by `current` or `current_refund`, in a transaction that can keep the answer to the request."""

    def __init__(self, transact: Transact[Work], payments: PaymentsService, queries: PaymentQueries) -> None:
        self._transact = transact
        self._queries = queries
        self.confirm = payments.confirm
        self.capture = payments.capture
        self.cancel = payments.cancel_intent
        self.refund = payments.refund

    async def create(self, reference: str, amount: Money) -> IntentView:
        require_positive(amount)
        intent = Intent(new_id("pin"), reference, amount)

        async def add(work: Work) -> IntentView:
            await work.payments.add(intent)
            return await work.queries.intent(intent.id)

        return await self._transact(add)

    async def current(self, intent_id: str) -> IntentView:
        return await self._transact(lambda work: work.queries.intent(intent_id))

    async def current_refund(self, refund_id: str) -> RefundView:
        return await self._transact(lambda work: work.queries.refund(refund_id))

    async def read(self, intent_id: str) -> IntentView:
        return await self._queries.intent(intent_id)

    async def find(self, page: PageRequest, reference: str | None) -> Slice[IntentView]:
        return await self._queries.intents(page, reference)

    async def read_refund(self, refund_id: str) -> RefundView:
        return await self._queries.refund(refund_id)

    async def find_refunds(self, page: PageRequest, intent_id: str | None) -> Slice[RefundView]:
        return await self._queries.refunds(page, intent_id)
