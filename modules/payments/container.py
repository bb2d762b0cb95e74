"""How payments is put together."""

from dependency_injector import containers, providers

from modules.payments.api.ledger import Ledger
from modules.payments.api.payments import PaymentIntents, Refunds
from modules.payments.api.test_provider import TestProvider
from modules.payments.domain.clearing import Clearing
from modules.payments.domain.desk import PaymentDesk
from modules.payments.domain.policy import POLICY
from modules.payments.domain.service import PaymentsService
from modules.payments.infra.balance_check import BalanceCheck
from modules.payments.infra.figures import FIGURES
from modules.payments.infra.jobs import kinds, recurring
from modules.payments.infra.ledger import SqlLedgerQueries
from modules.payments.infra.provider_check import ProviderCheck
from modules.payments.infra.queries import SqlPaymentQueries
from modules.payments.infra.retention import RETENTIONS
from modules.payments.infra.test_provider import ScriptedProvider, own_unit
from modules.payments.infra.test_webhooks import SignedNotices, WebhookDue, WebhookSender
from modules.payments.infra.work import SqlWork
from modules.payments.public import PUBLISHES, Payments
from shared.infra.db.database import Database
from shared.infra.db.transact import Transact
from shared.infra.remote import inproc
from shared.module import Module


class PaymentsContainer(containers.DeclarativeContainer):
    shared = providers.DependenciesContainer()

    settings = shared.settings.provided
    database = providers.Singleton(Database, shared.connections, "payments")
    transact = providers.Singleton(Transact, database, SqlWork, events=PUBLISHES)
    queries = providers.Singleton(SqlPaymentQueries, database)
    ledger = providers.Singleton(SqlLedgerQueries, database)

    provider_transact = providers.Singleton(Transact, database, own_unit, tasks=(WebhookDue.KIND,))
    provider = providers.Singleton(ScriptedProvider, database, provider_transact, public_url=settings.public_url)
    notices = providers.Singleton(SignedNotices, settings.secret.derive.call("test-provider-webhook"))

    clearing = providers.Singleton(Clearing, transact, provider, notices, shared.clock)
    service = providers.Singleton(PaymentsService, transact, clearing)
    desk = providers.Singleton(PaymentDesk, transact, service, queries)
    facade = providers.Singleton(inproc, Payments, service)

    sender = providers.Singleton(WebhookSender, provider, notices, clearing, shared.clock)
    webhooks = providers.Singleton(WebhookSender.task, sender)
    crons = providers.Singleton(recurring, clearing, ledger)

    module = providers.Singleton(
        Module,
        name="payments",
        database=database,
        work=providers.Object(SqlWork),
        controllers=(PaymentIntents, Refunds, Ledger, TestProvider),
        use_cases=providers.Dict(payments=desk, ledger=ledger, clearing=clearing, challenges=provider),
        policy=POLICY,
        publishes=PUBLISHES,
        tasks=providers.Singleton(kinds, crons, webhooks),
        crons=crons,
        retentions=RETENTIONS,
        figures=FIGURES,
        checks=providers.Dict(
            trial_balance=providers.Singleton(BalanceCheck, ledger),
            provider=providers.Singleton(ProviderCheck, production=settings.production),
        ),
    )
