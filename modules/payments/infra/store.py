"""Intents and attempts on Postgres: the hot path of a payment in few statements."""

from typing import Final

from modules.payments.domain.attempt import Attempt, AttemptStatus, Operation
from modules.payments.domain.intent import Intent, IntentStatus
from shared.domain.errors import NotFound
from shared.domain.money import Money
from shared.infra.db.statements import Row
from shared.infra.db.unit_of_work import UnitOfWork

_INTENT: Final = """
i.id, i.reference, i.amount, i.currency, i.status, i.authorization_id, i.authorized, i.capturing, i.captured, i.refunding, i.refunded,
i.decline_code, i.action_url, i.version
"""
_ATTEMPT: Final = """
a.id as a_id, a.intent_id as a_intent_id, a.operation as a_operation, a.amount as a_amount, a.currency as a_currency, a.key as a_key,
a.payment_method as a_payment_method, a.reason as a_reason, a.status as a_status, a.failure as a_failure, a.version as a_version
"""

_BEGIN: Final = """
with fresh as (
    insert into authorization_key (key, reference, intent_id) values ($1, $2, $3) on conflict (key) do nothing returning intent_id
), intent as (
    insert into payment_intent (id, reference, amount, currency, status, authorization_id, version)
    select intent_id, $2, $4, $5, $6, $7, $8 from fresh
)
insert into attempt (id, intent_id, operation, amount, currency, payment_method, status, version, claimed_until)
select $7, intent_id, $9, $4, $5, $10, $11, $12, now() + make_interval(secs => $13) from fresh
"""
_FORBID: Final = "insert into authorization_key (key, reference) values ($1, $2) on conflict (key) do nothing"
_OF_KEY: Final = f"""
select {_INTENT}, {_ATTEMPT} from authorization_key k
join payment_intent i on i.id = k.intent_id join attempt a on a.id = i.authorization_id where k.key = $1
"""  # noqa: S608 - the select lists are constants of ours, here and below
_ADD: Final = """
insert into payment_intent (id, reference, amount, currency, status, version) values ($1, $2, $3, $4, $5, $6)
"""
_GET: Final = f"select {_INTENT} from payment_intent i where i.id = $1"  # noqa: S608 - as above
# Only the intent is locked. After waiting for it, its row is newer than the attempt beside it: not `fresh`, look again.
_LOCK: Final = f"""
select {_INTENT}, {_ATTEMPT}, i.xmin = (select seen.xmin from payment_intent seen where seen.id = i.id) as fresh
from payment_intent i left join attempt a on a.operation = $2 and a.key = $3 where i.id = $1 for update of i
"""  # noqa: S608 - as above
# Both rows are locked, so that both are the newest; the intent first, as everybody does.
_LOCK_ATTEMPT: Final = f"""
select {_INTENT}, {_ATTEMPT} from payment_intent i join attempt a on a.intent_id = i.id where a.id = $1 for update of i, a
"""  # noqa: S608 - as above
_SAVE: Final = """
update payment_intent set status = $2, authorization_id = $3, authorized = $4, capturing = $5, captured = $6, refunding = $7,
    refunded = $8, decline_code = $9, action_url = $10, version = $11, updated_at = now()
where id = $1
"""
_SAVE_BOTH: Final = f"""
with changed as ({_SAVE})
insert into attempt (id, intent_id, operation, amount, currency, key, payment_method, reason, status, failure, version, claimed_until)
values ($12, $1, $13, $14, $15, $16, $17, $18, $19, $20, $21, now() + make_interval(secs => $22))
on conflict (id) do update set status = excluded.status, failure = excluded.failure, version = excluded.version,
    claimed_until = excluded.claimed_until, updated_at = now()
"""  # noqa: S608 - as above
_CLAIM: Final = "update attempt set claimed_until = now() + make_interval(secs => $2) where id = $1 and claimed_until <= now() returning id"
# attempt_open; a row that another reconciler has just taken is passed over.
CLAIM_STUCK: Final = f"""
update attempt a set claimed_until = now() + make_interval(secs => $2) where a.id = (
    select id from attempt where status in ('pending', 'unknown', 'requires_action') and claimed_until < now() - make_interval(secs => $1)
    order by claimed_until limit 1 for update skip locked
) returning {_ATTEMPT}
"""  # noqa: S608 - as above
_MARK_UNKNOWN: Final = """
update attempt set status = case when status = 'pending' then 'unknown' else status end, claimed_until = now()
where id = $1 and status in ('pending', 'unknown', 'requires_action')
"""


class SqlPayments:
    """Implements PaymentStore in one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def begin(self, key: str, intent: Intent, attempt: Attempt, *, claim_s: float) -> bool:
        begun = await self._uow.write(
            _BEGIN,
            key,
            intent.reference,
            intent.id,
            intent.amount.amount,
            intent.amount.currency,
            intent.status,
            attempt.id,
            intent.version,
            attempt.operation,
            attempt.payment_method,
            attempt.status,
            attempt.version,
            claim_s,
        )
        return begun > 0

    async def forbid(self, key: str, reference: str) -> bool:
        return await self._uow.write(_FORBID, key, reference) > 0

    async def of_key(self, key: str) -> tuple[Intent, Attempt] | None:
        row = await self._uow.fetchrow(_OF_KEY, key)
        return None if row is None else (_intent(row), _attempt(row))

    async def add(self, intent: Intent) -> None:
        amount = intent.amount
        await self._uow.write(_ADD, intent.id, intent.reference, amount.amount, amount.currency, intent.status, intent.version)

    async def get(self, intent_id: str) -> Intent:
        return _intent(_found(await self._uow.fetchrow(_GET, intent_id)))

    async def lock(self, intent_id: str, operation: Operation, key: str) -> tuple[Intent, Attempt | None]:
        row = _found(await self._uow.fetchrow(_LOCK, intent_id, operation, key))
        if not row["fresh"]:
            row = _found(await self._uow.fetchrow(_LOCK, intent_id, operation, key))
        return _intent(row), None if row["a_id"] is None else _attempt(row)

    async def lock_attempt(self, attempt_id: str) -> tuple[Intent, Attempt]:
        row = await self._uow.fetchrow(_LOCK_ATTEMPT, attempt_id)
        if row is None:
            raise NotFound("no such attempt")
        return _intent(row), _attempt(row)

    async def save(self, intent: Intent, attempt: Attempt | None = None, *, claim_s: float = 0.0) -> None:
        row = (
            intent.id,
            intent.status,
            intent.authorization,
            intent.authorized,
            intent.capturing,
            intent.captured,
            intent.refunding,
            intent.refunded,
            intent.decline_code,
            intent.action_url,
            intent.version,
        )
        if attempt is None:
            await self._uow.write(_SAVE, *row)
        else:
            await self._uow.write(_SAVE_BOTH, *row, *_attempt_row(attempt), claim_s)

    async def claim(self, attempt_id: str, claim_s: float) -> bool:
        return await self._uow.fetchrow(_CLAIM, attempt_id, claim_s) is not None

    async def claim_stuck(self, stuck_s: float, claim_s: float) -> Attempt | None:
        row = await self._uow.fetchrow(CLAIM_STUCK, stuck_s, claim_s)
        return None if row is None else _attempt(row)

    async def mark_unknown(self, attempt_id: str) -> None:
        await self._uow.write(_MARK_UNKNOWN, attempt_id)


def _found(row: Row | None) -> Row:
    if row is None:
        raise NotFound("no such payment intent")
    return row


def _intent(row: Row) -> Intent:
    return Intent(
        id=row["id"],
        reference=row["reference"],
        amount=Money(row["amount"], row["currency"]),
        status=IntentStatus(row["status"]),
        authorization=row["authorization_id"],
        authorized=row["authorized"],
        capturing=row["capturing"],
        captured=row["captured"],
        refunding=row["refunding"],
        refunded=row["refunded"],
        decline_code=row["decline_code"],
        action_url=row["action_url"],
        version=row["version"],
    )


def _attempt(row: Row) -> Attempt:
    return Attempt(
        id=row["a_id"],
        intent_id=row["a_intent_id"],
        operation=Operation(row["a_operation"]),
        amount=Money(row["a_amount"], row["a_currency"]),
        key=row["a_key"],
        payment_method=row["a_payment_method"],
        reason=row["a_reason"],
        status=AttemptStatus(row["a_status"]),
        failure=row["a_failure"],
        version=row["a_version"],
    )


def _attempt_row(attempt: Attempt) -> tuple[object, ...]:
    return (
        attempt.id,
        attempt.operation,
        attempt.amount.amount,
        attempt.amount.currency,
        attempt.key,
        attempt.payment_method,
        attempt.reason,
        attempt.status,
        attempt.failure,
        attempt.version,
    )
