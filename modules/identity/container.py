"""How identity is put together."""

from dependency_injector import containers, providers

from modules.identity.api.auth import Auth, WellKnown
from modules.identity.api.users import Me, Users
from modules.identity.domain.accounts import Accounts
from modules.identity.domain.administration import Administration
from modules.identity.domain.opaque import Derivation
from modules.identity.domain.policy import POLICY
from modules.identity.domain.sign_in import SignIn
from modules.identity.infra.access_tokens import IssuedAccessTokens
from modules.identity.infra.addresses import EmailAddresses
from modules.identity.infra.attempts import SqlAttempts
from modules.identity.infra.passwords import Argon2Passwords
from modules.identity.infra.queries import SqlIdentityQueries
from modules.identity.infra.retention import RETENTIONS
from modules.identity.infra.work import SqlWork
from modules.identity.public import PUBLISHES, Identity
from shared.infra.db.database import Database
from shared.infra.db.transact import Transact
from shared.infra.remote import inproc
from shared.module import Module


class IdentityContainer(containers.DeclarativeContainer):
    shared = providers.DependenciesContainer()

    settings = shared.settings.provided
    derive = settings.secret.derive

    database = providers.Singleton(Database, shared.connections, "identity")
    transact = providers.Singleton(Transact, database, SqlWork, events=PUBLISHES)
    queries = providers.Singleton(SqlIdentityQueries, database)

    addresses = providers.Singleton(EmailAddresses)
    peppers = providers.Dict({1: derive.call("password-pepper-1")})
    passwords = providers.Singleton(Argon2Passwords, peppers, memory_kib=settings.password_memory_kib)
    attempts = providers.Singleton(SqlAttempts, database)
    derivation = providers.Singleton(Derivation, derive.call("opaque-token"))
    access_tokens = providers.Singleton(IssuedAccessTokens, shared.issuer, shared.verifier)

    accounts = providers.Singleton(Accounts, transact, queries, addresses, passwords, derivation, settings.public_url)
    sign_in = providers.Singleton(SignIn, transact, queries, addresses, passwords, attempts, access_tokens, derivation)
    administration = providers.Singleton(Administration, transact, queries, addresses, passwords)
    facade = providers.Singleton(inproc, Identity, accounts)

    module = providers.Singleton(
        Module,
        name="identity",
        database=database,
        work=providers.Object(SqlWork),
        controllers=(Auth, WellKnown, Users, Me),
        use_cases=providers.Dict(accounts=accounts, sign_in=sign_in, administration=administration),
        policy=POLICY,
        publishes=PUBLISHES,
        retentions=RETENTIONS,
    )
