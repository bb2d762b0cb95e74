"""Connections to Redis, which nobody takes while holding one to Postgres."""

from typing import Any

from redis.asyncio import BlockingConnectionPool

from shared.domain.guard import outbound


class GuardedPool(BlockingConnectionPool):
    """Every command, pipeline and subscription takes its connection here; raises OutboundInTransaction."""

    async def get_connection(self, *args: Any, **named: Any) -> Any:
        outbound("Redis")
        return await super().get_connection(*args, **named)  # type: ignore[no-untyped-call]  # not typed by the library
