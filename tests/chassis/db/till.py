"""A module made for tests: a till with accounts, and a shelf that listens to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from shared.domain.events import Event
from shared.domain.saga import Failure, Local, Saga
from shared.infra.db.connections import Connections, connector
from shared.infra.db.database import Database
from shared.infra.db.migrate import ModuleSchema
from shared.infra.db.transact import Transact
from shared.infra.db.unit_of_work import UnitOfWork
from shared.infra.events.subscription import Subscription
from tests.support.application import password_of

ROOT: Final = Path(__file__).parent / "migrations"
TILL: Final = ModuleSchema("till")
SHELF: Final = ModuleSchema("shelf", [Subscription("shelf.moves", "till", "database", {})])
TASK: Final = "till.count"


class Moved(Event, frozen=True):
    event_type: ClassVar[str] = "till.moved"
    event_key: ClassVar[str] = "account_id"
    account_id: str
    amount: int


class Undeclared(Moved, frozen=True):
    event_type: ClassVar[str] = "till.undeclared"


class Account(msgspec.Struct, frozen=True):
    id: str
    balance: int
    version: int


class Errand(msgspec.Struct, frozen=True):
    account_id: str


class Result(msgspec.Struct, frozen=True):
    account_id: str


async def nothing(unit: UnitOfWork, state: Errand) -> Errand:
    return state


async def finish(unit: UnitOfWork, state: Errand, failure: Failure | None) -> Result:
    return Result(state.account_id)


ERRAND: Final[Saga[UnitOfWork, Errand]] = Saga("till.errand", 1, Errand, [Local("nothing", nothing)], finish)


def itself(unit: UnitOfWork) -> UnitOfWork:
    return unit


def transact_of(database: Database) -> Transact[UnitOfWork]:
    return Transact(database, itself, events=[Moved], tasks=[TASK], sagas=[ERRAND])


@asynccontextmanager
async def connected(url: str, *, limit: int = 24, wait_s: float = 2.0) -> AsyncIterator[Database]:
    connections = Connections(connector(url, password_of), limit=limit, wait_s=wait_s)
    try:
        yield Database(connections, "till")
    finally:
        await connections.close()


async def move(unit: UnitOfWork, account_id: str, amount: int) -> Account:
    row = await unit.fetchrow(
        "update account set balance = balance + $2, version = version + 1 where id = $1 returning id, balance, version", account_id, amount
    )
    assert row is not None
    account = Account(*row)
    unit.record(Moved(account_id, amount), version=account.version)
    return account
