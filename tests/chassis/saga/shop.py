"""A shop small enough to reason about: one saga of three local and three remote steps, and a neighbour with a ledger by key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any, Self

import asyncpg
import msgspec

from shared.domain.context import begin, current
from shared.domain.errors import Busy, Conflict
from shared.domain.saga import Asleep, Call, Ended, Failure, Local, Remote, Saga, Underway, Waiting
from shared.infra.db.connections import Connections
from shared.infra.db.database import Database
from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.saga.engine import SagaEngine, Timing
from shared.infra.schema.saga_v1 import UP
from tests.faults.crashpoints import Points, watched

SCHEMA = f"""
create schema shop;
set search_path to shop;
{UP.format(role="current_user")}
create table effect (purchase text not null, what text not null);
create table ledger (key text primary key, calls integer not null, done boolean not null, undone boolean not null);
"""

STEPS = ["open", "reserve", "check", "authorize", "place", "capture"]

AT_ONCE = Timing(first_retry=0.0, last_retry=0.0, stuck_retry=3600.0, in_place=-1.0)
"""Retries are due at once, and each is a claim of its own."""


class Purchase(msgspec.Struct, frozen=True):
    id: str
    trail: tuple[str, ...] = ()

    def after(self, step: str) -> Purchase:
        return msgspec.structs.replace(self, trail=(*self.trail, step))


class Receipt(msgspec.Struct, frozen=True):
    purchase: str
    trail: tuple[str, ...]
    refused: str | None


class Sold(Conflict):
    """What was wanted is sold."""

    code = "sold"


class Work:
    """`effect` has no constraint: what happened twice is there twice."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self.begin_saga = uow.begin_saga
        self.wake_saga = uow.wake_saga

    async def note(self, purchase: str, what: str) -> None:
        await self._uow.execute("insert into effect values ($1, $2)", purchase, what)


class Neighbour:
    """A foreign system that knows each key, with a script: what it does on its next calls to a step, the last one for ever.

    ok · refuse · busy (nothing happened) · lost (it happened, the answer did not arrive) · wait (it happened, and has to be confirmed)
    """

    def __init__(self, ledger: asyncpg.Connection[Any], points: Points, script: Mapping[str, list[str]]) -> None:
        self._ledger = ledger
        self._points = points
        self._one_by_one = asyncio.Lock()
        self._at_work: set[str] = set()
        self.script = {step: list(mood) for step, mood in script.items()}
        self.keys: list[str] = []
        self.disturbed = False

    async def act(self, step: str, call: Call) -> bool:
        """False when it has to be confirmed."""
        mood = self._mood(step)
        if mood in ("refuse", "busy"):
            raise Sold("sold out", step=step) if mood == "refuse" else Busy("come back later", retry_after=1)
        undone = await self._points.around(f"call {step}", lambda: self._book(call.key, "done"))
        if undone:
            raise Sold("cancelled before it arrived")
        if mood == "lost":
            raise ConnectionResetError("no answer")
        return mood != "wait"

    async def undo(self, step: str, call: Call) -> None:
        if self._mood(f"undo {step}") == "busy":
            raise Busy("come back later", retry_after=1)
        await self._points.around(f"undo {step}", lambda: self._book(call.action_key, "undone"))

    def _mood(self, step: str) -> str:
        moods = self.script.get(step, ["ok"])
        return moods.pop(0) if len(moods) > 1 else moods[0]

    async def _book(self, key: str, what: str) -> bool:
        """Whether it was undone. `disturbed` when the same step is under way twice at a time."""
        self.keys.append(key)
        self.disturbed |= key in self._at_work
        self._at_work.add(key)
        sql = """
            insert into ledger as l values ($1, 1, $2 = 'done', $2 = 'undone')
            on conflict (key) do update set calls = l.calls + 1, undone = l.undone or excluded.undone,
                done = l.done or excluded.done and not l.undone
            returning undone
        """
        try:
            async with self._one_by_one:
                return bool(await self._ledger.fetchval(sql, key, what))
        finally:
            self._at_work.discard(key)


def purchase_saga(neighbour: Neighbour, refuses: frozenset[str], give_up_after: timedelta, version: int = 1) -> Saga[Work, Purchase]:
    """`refuses` names local steps that do. `place` is the pivot."""

    def local(name: str) -> Callable[[Work, Purchase], Awaitable[Purchase]]:
        async def happen(work: Work, state: Purchase) -> Purchase:
            await work.note(state.id, name)
            if name in refuses:
                raise Sold("sold out", step=name)
            return state.after(name)

        return happen

    def remote(name: str) -> Callable[[Purchase, Call], Awaitable[Purchase]]:
        async def happen(state: Purchase, call: Call) -> Purchase:
            if not await neighbour.act(name, call):
                raise Waiting(state.after(f"asked {name}"), timedelta(hours=1))
            return state.after(name)

        return happen

    def undo(name: str) -> Callable[[Purchase, Call], Awaitable[Purchase]]:
        async def happen(state: Purchase, call: Call) -> Purchase:
            await neighbour.undo(name, call)
            return state.after(f"undo {name}")

        return happen

    async def finish(work: Work, state: Purchase, failure: Failure | None) -> Receipt:
        await work.note(state.id, "finish")
        return Receipt(state.id, state.trail, failure.code if failure else None)

    steps: list[Local[Work, Purchase] | Remote[Purchase]] = [
        Local("open", local("open"), local("close")),
        Remote("reserve", remote("reserve"), undo("reserve")),
        Local("check", local("check")),
        Remote("authorize", remote("authorize"), undo("authorize")),
        Local("place", local("place"), pivot=True),
        Remote("capture", remote("capture")),
    ]
    return Saga("purchase", version, Purchase, steps, finish, give_up_after, "/v1/purchases/{key}")


class Shop:
    """`async with` opens its connections, and the neighbour's own one."""

    def __init__(
        self,
        url: str,
        *,
        points: Points | None = None,
        script: Mapping[str, list[str]] | None = None,
        refuses: frozenset[str] = frozenset(),
        give_up_after: timedelta = timedelta(hours=1),
        timing: Timing = AT_ONCE,
        limit: int = 24,
    ) -> None:
        self._url = url
        self.points = points or Points()
        self._script = script or {}
        self._refuses = refuses
        self._give_up_after = give_up_after
        self._timing = timing
        self._limit = limit
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async def connect(_: str) -> asyncpg.Connection[Any]:
            return await self._connect(watched(self.points))

        connections = Connections(connect, limit=self._limit, set_aside=0)
        self._open.push_async_callback(connections.close)
        self.ledger = await self._connect(asyncpg.Connection)
        self._open.push_async_callback(self.ledger.close)
        self.neighbour = Neighbour(self.ledger, self.points, self._script)
        self.database = Database(connections, "shop")
        self.saga = purchase_saga(self.neighbour, self._refuses, self._give_up_after)
        self.engine = self.another_engine()
        self.transact = Transact(self.database, Work, sagas=[self.saga])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    def another_engine(self) -> SagaEngine:
        return SagaEngine(self.database, Work, [self.saga], timing=self._timing)

    async def begin(self, purchase: str) -> str:
        """As a request does: it has a deadline."""
        begin(replace(current(), deadline=monotonic() + 60))

        async def work(unit: Work) -> str:
            return unit.begin_saga("purchase", Purchase(purchase), key=purchase)

        return await self.transact(work)

    async def buy(self, purchase: str, patience_s: float = 60.0) -> Ended[Receipt] | Asleep | Underway:
        return await self.engine.run(await self.begin(purchase), Receipt, patience_s=patience_s)

    async def wake(self, saga_id: str) -> None:
        async def work(unit: Work) -> None:
            unit.wake_saga(saga_id)

        await self.transact(work)

    async def saga_of(self, purchase: str) -> str:
        return str(await self.database.fetchval("select id from saga where key = $1", purchase))

    async def drain(self) -> None:
        while await self.engine.recover(limit=8):
            pass

    async def lapse(self) -> None:
        """Let every claim run out, as if its time had passed."""
        await self.database.fetch("update saga set claimed_until = now() where claimed_until is not null")

    async def _connect(self, kind: type[asyncpg.Connection[Any]]) -> asyncpg.Connection[Any]:
        return await asyncpg.connect(self._url, connection_class=kind, server_settings={"search_path": "shop"})


def refused(result: object) -> tuple[str, Any]:
    """The code of the failure, and the outcome."""
    assert isinstance(result, Ended)
    assert result.failure is not None
    return result.failure.code, result.outcome


class Story(msgspec.Struct, frozen=True):
    """What is true of a purchase in the end. `live`: steps of the neighbour that happened and were not undone."""

    state: str | None
    effects: list[str]
    live: list[str]
    calls: dict[str, int]

    @classmethod
    async def of(cls, shop: Shop, purchase: str) -> Story:
        sagas = await shop.database.fetch("select id, state from saga where key = $1", purchase)
        assert len(sagas) <= 1, f"{len(sagas)} sagas for one purchase"
        effects = await shop.database.fetch("select what from effect where purchase = $1 order by ctid", purchase)
        saga_id, state = sagas[0] if sagas else ("", None)
        booked = await shop.database.fetch("select * from ledger where starts_with(key, $1)", f"{saga_id}:") if saga_id else []
        names = {row["key"]: row["key"].split(":")[1] for row in booked}
        assert sorted(names) == sorted(f"{saga_id}:{step}:forward" for step in set(names.values())), "a step had two keys"
        live = sorted(names[row["key"]] for row in booked if row["done"] and not row["undone"])
        return cls(state, [row["what"] for row in effects], live, {names[row["key"]]: row["calls"] for row in booked})
