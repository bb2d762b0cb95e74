"""The process that is killed: completes a cart over the API and does what the worker would do, every statement a crash point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg
import httpx

from entrypoints.container import Root
from entrypoints.http import create_app
from entrypoints.process import build_worker
from shared.infra.config import load
from shared.infra.secrets import role_password
from tests.faults.crashpoints import Points, serve, watched


async def buy(points: Points, arguments: Mapping[str, Any]) -> None:
    """Without the lifespan: its loops would make each run another one."""
    settings = load(arguments["environment"])
    root = Root(settings=settings)
    password_of, kind = role_password(settings.db_secret), watched(points)

    async def connect(role: str) -> asyncpg.Connection[Any]:
        return await asyncpg.connect(settings.database_url, user=role, password=password_of(role), connection_class=kind)

    root.shared.connect.override(connect)  # before any module has taken its connections
    worker = build_worker(root)
    transport = httpx.ASGITransport(create_app(root))  # type: ignore[arg-type]  # Litestar types its scope more narrowly
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post(arguments["path"], json=arguments["body"], headers=arguments["headers"])
        if answer.status_code not in arguments["expect"]:
            raise AssertionError(f"{answer.status_code} {answer.text}")
    await worker.drain()
    await root.shared.connections().close()


if __name__ == "__main__":
    serve(buy)
