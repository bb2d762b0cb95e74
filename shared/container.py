"""What every module is handed: settings, clock, connections, Redis, keys."""

from dependency_injector import containers, providers
from redis.asyncio import Redis

from shared.api.admission import Admission
from shared.domain.clock import SystemClock
from shared.infra.cache.store import CacheStore, installation
from shared.infra.config import Settings
from shared.infra.db.connections import Connections, connector
from shared.infra.limits.limits import Limits
from shared.infra.metrics.instruments import Metrics
from shared.infra.metrics.process import Breakers
from shared.infra.metrics.requests import Requests
from shared.infra.redis_pool import GuardedPool
from shared.infra.secrets import Secret, role_password
from shared.infra.signing import Signer
from shared.infra.tokens import SigningKey, TokenIssuer, TokenVerifier


def purpose(secret: Secret, name: str) -> bytes:
    return secret.derive(name)


class SharedContainer(containers.DeclarativeContainer):
    settings = providers.Dependency(instance_of=Settings)
    clock = providers.Singleton(SystemClock)

    metrics = providers.Singleton(Metrics)
    requests = providers.Singleton(Requests, metrics)
    breakers = providers.Singleton(Breakers, metrics)

    connect = providers.Singleton(connector, settings.provided.database_url, providers.Callable(role_password, settings.provided.db_secret))
    connections = providers.Singleton(Connections, connect, limit=settings.provided.db_connections)

    redis_pool = providers.Singleton(
        GuardedPool.from_url, settings.provided.redis_url, max_connections=8, timeout=0.5, socket_timeout=0.5,
        socket_connect_timeout=0.5,
    )  # fmt: skip
    redis = providers.Singleton(Redis.from_pool, redis_pool)  # which closes the pool when it is closed
    limits = providers.Singleton(Limits, redis)
    admission = providers.Singleton(Admission, settings.provided.queue_milliseconds, waiting=connections.provided.longest_wait)
    cache = providers.Singleton(CacheStore, redis, providers.Callable(installation, settings), changed=breakers.provided.changed)

    signer = providers.Singleton(Signer, providers.Callable(purpose, settings.provided.secret, "cursor"))
    signing_key = providers.Singleton(SigningKey.derived, providers.Callable(purpose, settings.provided.secret, "access-token"))
    issuer = providers.Singleton(TokenIssuer, signing_key, issuer=settings.provided.public_url, audience="tenon", clock=clock)
    verifier = providers.Singleton(
        TokenVerifier, providers.List(signing_key.provided.public), issuer=settings.provided.public_url, audience="tenon", clock=clock
    )
