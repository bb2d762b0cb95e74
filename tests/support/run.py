"""The servers of one test run: started at the first wish by its controlling process, whose workers get their addresses."""

import asyncio
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.support.databases import drop_all

if TYPE_CHECKING:
    from tests.support.servers import Server


class Run:
    """`id` begins the name of every database of the run, so that nothing else is ever dropped."""

    def __init__(self, given: dict[str, str] | None = None) -> None:
        self._given: Final = given or {}
        self._started: dict[str, Server] = {}
        self.id: Final = self._given.get("id") or f"tenon_run_{uuid.uuid4().hex[:8]}"

    @property
    def postgres_url(self) -> str:
        return self._given.get("postgres") or self._start("postgres")

    @property
    def valkey_url(self) -> str:
        return self._given.get("valkey") or self._start("valkey")

    def to_give(self) -> dict[str, str]:
        """What a worker needs to know."""
        return {"id": self.id, "postgres": self.postgres_url, "valkey": self.valkey_url}

    def summary(self) -> str:
        return ", ".join(f"{name} ({server.kind})" for name, server in self._started.items())

    def end(self) -> None:
        """Leave nothing behind, neither on servers of our own nor on lent ones."""
        postgres = self._started.get("postgres")
        try:
            if postgres is not None and postgres.kind == "url":
                asyncio.run(drop_all(postgres.url, self.id))
        finally:
            for server in self._started.values():
                server.stop()
            self._started.clear()

    def _start(self, name: str) -> str:
        if name not in self._started:
            from tests.support import servers  # noqa: PLC0415 - imports the Docker client, slower than many a test

            start: Callable[[], Server] = {"postgres": servers.start_postgres, "valkey": servers.start_valkey}[name]
            self._started[name] = start()
        return self._started[name].url
