"""The built-in test provider: it stands for a foreign system, with a ledger of its own and behaviour scripted by card token."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from modules.payments.domain.attempt import News, Outcome
from modules.payments.domain.ports import Charge, ProviderSilent
from modules.payments.infra.test_webhooks import WebhookDue
from shared.domain.errors import NotFound
from shared.domain.money import Money
from shared.domain.work import Transact
from shared.infra.db.database import Database
from shared.infra.db.statements import Row
from shared.infra.db.unit_of_work import UnitOfWork

ALWAYS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Script:
    """What an authorisation does. `silent`: the first answer is lost on its way. `later`: decided after the call, and told by
    webhook. `errors`: so many calls fail with a server error before anything is recorded."""

    news: News = News.SUCCEEDED
    failure: str | None = None
    silent: bool = False
    later: News | None = None
    errors: int = 0


SCRIPTS: Final[Mapping[str, Script]] = {
    "pm_card_ok": Script(),
    "pm_card_declined": Script(News.REFUSED, "insufficient_funds"),
    "pm_card_3ds": Script(News.REQUIRES_ACTION),
    "pm_card_timeout": Script(silent=True),
    "pm_card_late_webhook": Script(News.PROCESSING, silent=True, later=News.SUCCEEDED),
    "pm_card_error_once": Script(errors=1),
    "pm_card_error": Script(errors=ALWAYS),
    "pm_card_capture_refused": Script(),
    "pm_card_capture_timeout": Script(),
    "pm_card_refund_refused": Script(),
    "pm_card_refund_returned": Script(),
}
UNKNOWN_CARD: Final = Script(News.REFUSED, "unknown_payment_method")

CAPTURE_REFUSED: Final = "pm_card_capture_refused"
CAPTURE_SILENT: Final = "pm_card_capture_timeout"
REFUND_REFUSED: Final = "pm_card_refund_refused"
REFUND_RETURNED: Final = "pm_card_refund_returned"

_ERROR: Final = "error"
_ANSWER: Final = "returning news, failure, payment_method, calls, later"

_AUTHORIZE: Final = f"""
insert into test_provider_ledger as l (key, operation, reference, amount, currency, payment_method, news, failure, later)
values ($1, 'authorize', $2, $3, $4, $5, case when $9::integer > 0 then 'error' else $6::text end, $7, $8)
on conflict (key) do update set calls = l.calls + 1,
    news = case when l.news = 'error' and l.calls >= $9 then $6::text else l.news end
{_ANSWER}
"""  # noqa: S608 - a returning list of ours, here and below
_CAPTURE: Final = f"""
insert into test_provider_ledger as l (key, operation, authorization_key, amount, currency, payment_method, news, failure)
select $1::text, 'capture', a.key, $3::bigint, $4::text, a.payment_method,
    case when w.reason is null then 'succeeded' else 'refused' end, w.reason
from test_provider_ledger a, lateral (select case
    when a.news <> 'succeeded' then 'not_authorized'
    when exists (select from test_provider_ledger v where v.authorization_key = a.key and v.operation = 'void') then 'voided'
    when a.payment_method = $5::text then 'authorization_expired'
    when $3::bigint + (
        select coalesce(sum(c.amount), 0) from test_provider_ledger c
        where c.authorization_key = a.key and c.operation = 'capture' and c.news = 'succeeded' and c.key <> $1::text
    ) > a.amount then 'amount_too_large'
end as reason) w where a.key = $2
on conflict (key) do update set calls = l.calls + 1
{_ANSWER}
"""  # noqa: S608 - as above
_REFUND: Final = f"""
insert into test_provider_ledger as l (key, operation, authorization_key, amount, currency, payment_method, news, failure, later)
select $1::text, 'refund', a.key, $3::bigint, $4::text, a.payment_method,
    case when a.payment_method = $5::text then 'refused' else 'succeeded' end,
    case when a.payment_method = $5::text then 'account_closed' end,
    case when a.payment_method = $6::text then 'reversed' end
from test_provider_ledger a where a.key = $2
on conflict (key) do update set calls = l.calls + 1
{_ANSWER}
"""  # noqa: S608 - as above
# An authorisation that has not arrived gets its answer in advance: refused.
_VOID: Final = f"""
with tombstone as (
    insert into test_provider_ledger as a (key, operation, news, failure) values ($2, 'authorize', 'refused', 'cancelled')
    on conflict (key) do update set failure = case when a.news = 'succeeded' then a.failure else 'cancelled' end, later = null,
        news = case when a.news = 'succeeded' then a.news else 'refused' end
)
insert into test_provider_ledger as l (key, operation, authorization_key, news) values ($1, 'void', $2, 'succeeded')
on conflict (key) do update set calls = l.calls + 1
{_ANSWER}
"""  # noqa: S608 - as above
_FIND: Final = "select news, failure from test_provider_ledger where key = $1 and news <> 'error'"
_DECIDE: Final = """
update test_provider_ledger set news = coalesce(later, news), later = null,
    failure = case when later = 'reversed' then 'account_closed' else failure end
where key = $1 returning news, failure
"""
_ANSWER_CHALLENGE: Final = """
update test_provider_ledger set news = case when $2::boolean then 'succeeded' else 'refused' end,
    failure = case when $2::boolean then null else 'authentication_failed' end
where key = $1 and news = 'requires_action' returning news, failure
"""


class ScriptedProvider:
    """Implements Provider. What it has accepted is committed, whatever becomes of its caller, and it never sees a caller's
    transaction. `late_s` is how long a late decision takes, by the database's clock.
    """

    def __init__(self, database: Database, transact: Transact[UnitOfWork], *, public_url: str, late_s: float = 2.0) -> None:
        self._database = database
        self._transact = transact
        self._challenges = f"{public_url.rstrip('/')}/v1/test_provider/authorizations"
        self._late_s = late_s

    async def authorize(self, key: str, charge: Charge) -> Outcome:
        script, amount = SCRIPTS.get(charge.payment_method, UNKNOWN_CARD), charge.amount
        card = (amount.amount, amount.currency, charge.payment_method)
        row = await self._record(
            script.later is not None, _AUTHORIZE, key, charge.reference, *card, script.news, script.failure, script.later, script.errors
        )
        return self._answer(key, row, lost=script.silent)

    async def capture(self, key: str, authorization: str, amount: Money) -> Outcome:
        row = await self._record(False, _CAPTURE, key, authorization, amount.amount, amount.currency, CAPTURE_REFUSED)
        return self._answer(key, row, lost=row is not None and row["payment_method"] == CAPTURE_SILENT)

    async def cancel(self, key: str, authorization: str) -> Outcome:
        return self._answer(key, await self._record(False, _VOID, key, authorization))

    async def refund(self, key: str, authorization: str, amount: Money) -> Outcome:
        row = await self._record(True, _REFUND, key, authorization, amount.amount, amount.currency, REFUND_REFUSED, REFUND_RETURNED)
        return self._answer(key, row)

    async def find(self, key: str) -> Outcome | None:
        row = await self._database.fetchrow(_FIND, key)
        return None if row is None else self._outcome(key, row)

    async def answer_challenge(self, key: str, *, approve: bool) -> None:
        """The customer has answered the issuer's question; the outcome goes out by webhook. Raises NotFound."""

        async def answer(uow: UnitOfWork) -> None:
            if await uow.fetchrow(_ANSWER_CHALLENGE, key, approve) is None:
                raise NotFound("no authorisation waits for an answer under this id")
            uow.enqueue(WebhookDue.KIND, WebhookDue(key), unique=key)

        await self._transact(answer)

    async def decide(self, key: str) -> Outcome:
        """What has become of a call by now: a belated decision is taken."""
        return self._outcome(key, await self._database.fetchrow(_DECIDE, key))

    async def _record(self, may_be_late: bool, sql: str, key: str, *args: object) -> Row | None:
        """Remember a call. One that is decided later has its webhook promised in the same transaction."""
        if not may_be_late:
            return await self._database.fetchrow(sql, key, *args)

        async def record(uow: UnitOfWork) -> Row | None:
            row = await uow.fetchrow(sql, key, *args)
            if row is not None and row["later"] is not None:
                uow.enqueue(WebhookDue.KIND, WebhookDue(key), unique=key, delay_s=self._late_s)
            return row

        return await self._transact(record)

    def _answer(self, key: str, row: Row | None, *, lost: bool = False) -> Outcome:
        outcome = self._outcome(key, row)
        if lost and row is not None and row["calls"] == 1:
            raise ProviderSilent("the answer was lost")
        return outcome

    def _outcome(self, key: str, row: Row | None) -> Outcome:
        if row is None:
            return Outcome(news=News.REFUSED, failure="unknown_authorization")
        if row["news"] == _ERROR:
            raise ProviderSilent("the provider answered with a server error")
        news = News(row["news"])
        action_url = f"{self._challenges}/{key}/complete" if news is News.REQUIRES_ACTION else None
        return Outcome(news=news, failure=row["failure"], action_url=action_url)


def own_unit(uow: UnitOfWork) -> UnitOfWork:
    """The provider's transactions are nobody else's: they need no module's ports."""
    return uow
