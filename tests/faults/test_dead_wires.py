"""A wire that carries nothing any more and says nothing of it: who waits gives up in time, and nobody takes that wire again."""

import asyncio

import pytest

from shared.domain.errors import CommitOutcomeUnknown
from shared.infra.db import commit, connections, roles
from tests.chassis.db.till import connected, move, transact_of

IN_TIME_S = 30.0
"""Of a test that would last for a quarter of an hour: so long the kernel tries to send what nobody takes."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ANSWER_S", 0.2)


def test_the_server_gives_up_before_we_do():
    assert float(roles.SETTINGS["statement_timeout"].removesuffix("s")) < connections.ANSWER_S


async def test_a_read_that_was_given_up_leaves_its_wire_to_nobody(proxy, admin):
    async with connected(proxy.url, limit=1) as database:
        assert await database.fetchval("select 1") == 1
        proxy.swallow()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await database.fetchval("select 2")
        async with asyncio.timeout(IN_TIME_S):
            assert await database.fetchval("select 3") == 3


async def test_a_read_without_a_deadline_is_sent_again_by_another_wire(proxy, admin, impatient):
    async with connected(proxy.url, limit=1) as database, asyncio.timeout(IN_TIME_S):
        assert await database.fetchval("select 1") == 1
        proxy.swallow()
        assert await database.fetchval("select 2") == 2


async def test_a_write_without_a_deadline_has_an_unknown_outcome(proxy, admin, impatient):
    async with connected(proxy.url, limit=1) as database, asyncio.timeout(IN_TIME_S):
        assert await database.fetchval("select 1") == 1
        proxy.swallow()
        with pytest.raises(CommitOutcomeUnknown):
            await database.fetch("update account set balance = 7 where id = 'a'")


async def test_a_transaction_that_was_given_up_says_so_and_leaves_its_wire_to_nobody(proxy, admin, monkeypatch):
    monkeypatch.setattr(commit, "ROLLBACK_TIMEOUT_S", 0.1)

    async def deposit(unit):
        proxy.swallow()
        await move(unit, "a", 5)

    async with connected(proxy.url, limit=1) as database, asyncio.timeout(IN_TIME_S):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await transact_of(database)(deposit)
        assert await database.fetchval("select balance from account where id = 'a'") == 100


async def test_a_transaction_without_a_deadline_runs_again_on_another_wire(proxy, admin, impatient):
    async with connected(proxy.url, limit=1) as database, asyncio.timeout(IN_TIME_S):
        await database.fetchval("select 1")

        async def deposit(unit):
            await move(unit, "a", 5)
            if swallowed.is_set():
                return
            swallowed.set()
            proxy.swallow()

        swallowed = asyncio.Event()
        await transact_of(database)(deposit)
    assert await admin.fetchval("select balance from account where id = 'a'") == 105
    assert await admin.fetchval("select count(*) from event") == 1
