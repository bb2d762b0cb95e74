"""Reads of payments: the SQL that returns the views, each with the index that it walks."""

from collections.abc import Sequence
from typing import Final

from modules.payments.domain.views import IntentView, RefundView
from shared.domain.errors import NotFound
from shared.domain.money import Money
from shared.domain.page import PageRequest, Slice, cut
from shared.infra.db.statements import Reader, Row

_INTENT: Final = """
select id, reference, status, currency, amount, authorized, captured, refunded, decline_code, action_url, version, created_at, updated_at
from payment_intent
"""
_REFUND: Final = """
select id, intent_id, currency, amount, reason, failure, version, created_at, updated_at,
    case when status = 'succeeded' then status when status in ('refused', 'reversed') then 'failed' else 'pending' end as status
from attempt where operation = 'refund'
"""

INTENT: Final = _INTENT + "where id = $1"
REFUND: Final = _REFUND + "and id = $1"

# payment_intent_pk, payment_intent_by_reference, both backwards. Both keys are compared together, so that no guess at how many share
# the first of them leads to the index of the second.
INTENTS: Final = _INTENT + "where id < $2 order by id desc limit $1"
INTENTS_OF: Final = _INTENT + "where reference >= $3 and (reference, id) < ($3, $2) order by reference desc, id desc limit $1"

# attempt_refunds, attempt_by_intent, both backwards
REFUNDS: Final = _REFUND + "and id < $2 order by id desc limit $1"
REFUNDS_OF: Final = _REFUND + "and intent_id = $3 and id < $2 order by id desc limit $1"


class SqlPaymentQueries:
    """Implements PaymentQueries; on a unit of work instead of a database it sees what that has written."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def intent(self, intent_id: str) -> IntentView:
        row = await self._reader.fetchrow(INTENT, intent_id)
        if row is None:
            raise NotFound("no such payment intent")
        return _intent(row)

    async def intents(self, page: PageRequest, reference: str | None) -> Slice[IntentView]:
        rows = await self._page(page, INTENTS, INTENTS_OF, reference)
        return cut([_intent(row) for row in rows], page, lambda view: (view.id,))

    async def refund(self, refund_id: str) -> RefundView:
        row = await self._reader.fetchrow(REFUND, refund_id)
        if row is None:
            raise NotFound("no such refund")
        return _refund(row)

    async def refunds(self, page: PageRequest, intent_id: str | None) -> Slice[RefundView]:
        rows = await self._page(page, REFUNDS, REFUNDS_OF, intent_id)
        return cut([_refund(row) for row in rows], page, lambda view: (view.id,))

    async def _page(self, page: PageRequest, everything: str, filtered: str, wanted: str | None) -> Sequence[Row]:
        if wanted is None:
            return await self._reader.fetch(everything, page.limit + 1, page.before)
        return await self._reader.fetch(filtered, page.limit + 1, page.before, wanted)


def _intent(row: Row) -> IntentView:
    currency = row["currency"]
    return IntentView(
        id=row["id"],
        reference=row["reference"],
        status=row["status"],
        amount=Money(row["amount"], currency),
        authorized=Money(row["authorized"], currency),
        captured=Money(row["captured"], currency),
        refunded=Money(row["refunded"], currency),
        decline_code=row["decline_code"],
        action_url=row["action_url"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _refund(row: Row) -> RefundView:
    return RefundView(
        id=row["id"],
        payment_intent=row["intent_id"],
        status=row["status"],
        amount=Money(row["amount"], row["currency"]),
        reason=row["reason"],
        failure=row["failure"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
