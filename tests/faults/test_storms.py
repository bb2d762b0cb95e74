"""Cancellations and ended sessions by the hundred: nothing is torn, nothing stays open, every acknowledgement is true."""

import asyncio
import random

import pytest

from shared.infra.db.errors import DatabaseUnavailable
from tests.chassis.db.till import connected, move, transact_of

SEED = 20240229
IN_TRANSACTION = "select count(*) from pg_stat_activity where usename = 'tenon_till' and datname = current_database() and state <> 'idle'"


async def transfer(unit):
    """Torn, it would change the sum of balances, or have events in odd numbers."""
    amount = random.choice((-3, 3))
    await move(unit, "a", amount)
    await move(unit, "b", -amount)


async def whole(admin):
    assert await admin.fetchval("select sum(balance) from account") == 20_000
    events, changes = await admin.fetchrow("select (select count(*) from event), (select sum(version) - count(*) from account)")
    assert events == changes
    assert events % 2 == 0
    return events // 2


@pytest.fixture(autouse=True)
async def plenty(admin):
    random.seed(SEED)
    await admin.execute("update account set balance = 10000")


async def test_hundreds_of_random_cancellations_tear_nothing_and_leave_nothing_open(till_url, admin):
    async with connected(till_url, limit=6, wait_s=60) as database:
        transact = transact_of(database)
        await transact(transfer)
        completed = 1
        for _ in range(40):
            tasks = [asyncio.create_task(transact(transfer)) for _ in range(15)]
            for _ in tasks:
                await asyncio.sleep(random.random() * 0.002)  # the pace of the storm
                if random.random() < 0.8:
                    random.choice(tasks).cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(outcome is None or isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
            completed += sum(outcome is None for outcome in outcomes)

        assert await admin.fetchval(IN_TRANSACTION) == 0
        assert database.connections._requests == 0
        assert await whole(admin) >= completed
        assert completed < 600

        before = await whole(admin)
        await asyncio.gather(*(transact(transfer) for _ in range(30)))
        assert await whole(admin) == before + 30


async def test_a_cancelled_begin_does_not_turn_the_next_transaction_into_a_savepoint(till_url, admin):
    """With a transaction object of the driver's own, the next commit would commit nothing."""
    async with connected(till_url, limit=1) as database:
        transact = transact_of(database)
        for steps in range(60):
            task = asyncio.create_task(transact(transfer))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

            before = await whole(admin)
            await transact(transfer)
            assert await whole(admin) == before + 1


async def test_while_sessions_are_ended_all_the_time_what_was_acknowledged_is_committed_once(till_url, admin):
    acknowledged = refused = 0

    async def customer(transact):
        nonlocal acknowledged, refused
        for _ in range(40):
            try:
                await transact(transfer)
                acknowledged += 1
            except DatabaseUnavailable:
                refused += 1

    victims = "select pid from pg_stat_activity where usename = 'tenon_till' and datname = current_database() order by random() limit 1"
    async with connected(till_url, limit=10, wait_s=60) as database:
        crowd = asyncio.gather(*(customer(transact_of(database)) for _ in range(20)))
        ended = 0
        while not crowd.done():
            ended += len(await admin.fetch(f"select pg_terminate_backend(pid) from ({victims}) victim"))
            await asyncio.sleep(0.005)  # the pace of the storm
        await crowd

    assert ended > 20
    assert acknowledged + refused == 800
    assert await whole(admin) == acknowledged
