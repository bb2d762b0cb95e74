"""Point reads that arrive together are read together; nobody's read is anybody else's."""

import asyncio

import asyncpg
import pytest

from shared.domain.context import Context, Principal, begin, current
from shared.domain.guard import OutboundInTransaction
from shared.domain.once import once
from shared.infra.db.loader import KEYS, Loader
from tests.chassis.db.till import Account, move

ACCOUNTS = "select id, balance, version from account where id = any($1)"


class Accounts:
    """Reads accounts in batches, each of which waits until it may begin."""

    def __init__(self, database):
        self.database = database
        self.batches = []
        self.may_begin = asyncio.Event()
        self.principals = []
        self.loader = Loader(self.read)

    async def read(self, ids):
        self.batches.append(ids)
        self.principals.append((current().principal.id, once.get()))
        await self.may_begin.wait()
        return {account.id: account for account in await self.database.views(Account, ACCOUNTS, ids)}


@pytest.fixture
def accounts(database):
    return Accounts(database)


async def test_a_key_alone_is_read_at_once_and_again_every_time(accounts, admin):
    accounts.may_begin.set()
    assert await accounts.loader.get("a") == Account("a", 100, 1)
    await admin.execute("update account set balance = 7")
    assert (await accounts.loader.get("a")).balance == 7
    assert await accounts.loader.get("nobody") is None


async def test_keys_that_arrive_while_two_batches_are_under_way_make_up_the_next(accounts):
    reads = [asyncio.create_task(accounts.loader.get(key)) for key in ("a", "b", "c", "a", "b")]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert accounts.batches == [["a"], ["b"]]

    accounts.may_begin.set()
    answers = await asyncio.gather(*reads)

    assert accounts.batches == [["a"], ["b"], ["c", "a", "b"]]
    assert [answer and answer.id for answer in answers] == ["a", "b", None, "a", "b"]


async def test_a_batch_has_a_limit(accounts):
    reads = [asyncio.create_task(accounts.loader.get(str(number))) for number in range(KEYS + 10)]
    accounts.may_begin.set()
    await asyncio.gather(*reads)
    assert sorted(len(batch) for batch in accounts.batches) == [1, 1, 8, KEYS]


async def test_who_is_cancelled_does_not_take_others_along(accounts):
    reads = [asyncio.create_task(accounts.loader.get("a")) for _ in range(6)]
    await asyncio.sleep(0)
    for read in reads[::2]:
        read.cancel()
    accounts.may_begin.set()
    answers = await asyncio.gather(*reads, return_exceptions=True)
    assert [isinstance(answer, Account) for answer in answers] == [False, True] * 3


async def test_a_key_that_the_database_refuses_fails_alone(accounts):
    reads = [asyncio.create_task(accounts.loader.get(key)) for key in ("a", "b", "a", "\0", "b")]
    accounts.may_begin.set()
    answers = await asyncio.gather(*reads, return_exceptions=True)
    assert [getattr(answer, "id", None) for answer in answers] == ["a", "b", "a", None, "b"]
    assert isinstance(answers[3], asyncpg.CharacterNotInRepertoireError)


async def test_another_failure_is_everybodys(database):
    async def read(ids):
        raise ConnectionRefusedError

    loader = Loader(read)
    answers = await asyncio.gather(*(loader.get(key) for key in "abcde"), return_exceptions=True)
    assert all(isinstance(answer, ConnectionRefusedError) for answer in answers)


async def test_a_batch_runs_on_nobodys_behalf_and_is_counted_for_each_that_waited(accounts):
    async def request(name):
        context = Context(principal=Principal(kind="user", id=name))
        begin(context)
        await accounts.loader.get("a")
        return context.sql_count

    accounts.may_begin.set()
    assert await asyncio.gather(*(asyncio.create_task(request(name)) for name in "xyz")) == [1, 1, 1]
    assert set(accounts.principals) == {("", None)}


async def test_never_inside_a_transaction(accounts, transact):
    async def work(unit):
        await move(unit, "a", 1)
        await accounts.loader.get("a")

    with pytest.raises(OutboundInTransaction):
        await transact(work)


async def test_the_plan_uses_the_index_however_the_keys_look(database, admin):
    """Prepared, as the role runs it: with array parameters planned one by one, a plan once flipped to a sequential scan."""
    await admin.execute("insert into account (id) select 'x' || n from generate_series(1, 20000) n; analyze account")
    await database.fetch(ACCOUNTS, ["a"])
    plan = "\n".join(row[0] for row in await database.fetch(f"explain {ACCOUNTS}", [f"x{number}" for number in range(KEYS)]))
    assert "account_pkey" in plan
    assert "Seq Scan" not in plan
