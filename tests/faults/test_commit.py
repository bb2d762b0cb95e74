"""The wire is cut around COMMIT: what is told to the caller is what happened, and it happens once."""

import asyncio

import msgspec
import pytest

from shared.domain.errors import CommitOutcomeUnknown
from shared.domain.once import AlreadyDone, Answer, Once, once
from shared.infra.db.errors import DatabaseUnavailable
from tests.chassis.db.till import connected, move, transact_of


class Deposit:
    """Adds five to an account, and counts how often it was run."""

    def __init__(self):
        self.runs = 0

    async def __call__(self, unit):
        self.runs += 1
        return await move(unit, "a", 5)


async def effects(admin):
    return await admin.fetchrow("select (select balance from account where id = 'a'), (select count(*) from event)")


async def test_cut_before_commit_it_is_run_again_and_has_one_effect(proxy, admin):
    deposit = Deposit()
    async with connected(proxy.url) as database:
        proxy.cut = "before"
        account = await transact_of(database)(deposit)

    assert (account.balance, proxy.cuts, deposit.runs) == (105, 1, 2)
    assert tuple(await effects(admin)) == (105, 1)


async def test_cut_after_commit_it_is_a_success_and_has_one_effect(proxy, admin):
    deposit = Deposit()
    async with connected(proxy.url) as database:
        proxy.cut = "after"
        account = await transact_of(database)(deposit)

    assert (account.balance, proxy.cuts, deposit.runs) == (105, 1, 1)
    assert tuple(await effects(admin)) == (105, 1)


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_with_nobody_left_to_ask_the_outcome_is_said_to_be_unknown(proxy, admin, cut, monkeypatch):
    monkeypatch.setattr("shared.infra.db.commit.RESOLVE_WITHIN_S", 0.2)
    deposit = Deposit()
    async with connected(proxy.url) as database:
        proxy.cut, proxy.refuses_after_cut = cut, True
        with pytest.raises(CommitOutcomeUnknown) as unknown:
            await transact_of(database)(deposit)

    assert unknown.value.code == "commit_outcome_unknown"
    assert deposit.runs == 1
    assert tuple(await effects(admin)) == {"before": (100, 0), "after": (105, 1)}[cut]


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_full_budget_of_connections_does_not_stand_in_the_way_of_the_answer(proxy, admin, cut):
    """The dead connection is given back before another one is asked for: with a limit of one, that is the same place."""
    async with connected(proxy.url, limit=1) as database:
        proxy.cut = cut
        await transact_of(database)(Deposit())
        assert database.connections.open == 1

    assert tuple(await effects(admin)) == (105, 1)


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_request_with_a_key_has_one_effect_and_its_answer_is_kept(proxy, admin, cut):
    wanted = Once("user:usr_1 POST /v1/moves", cut, b"", lambda account: Answer(201, msgspec.json.encode(account)))

    async def request(transact):
        once.set(wanted)
        return await transact(Deposit())

    async with connected(proxy.url) as database:
        transact = transact_of(database)
        proxy.cut = cut
        account = await asyncio.create_task(request(transact))
        with pytest.raises(AlreadyDone) as replayed:
            await asyncio.create_task(request(transact))

    assert replayed.value.answer == wanted.render(account)
    assert tuple(await effects(admin)) == (105, 1)


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_transaction_that_only_read_misses_nothing(proxy, admin, cut):
    async with connected(proxy.url) as database:
        proxy.cut = cut
        assert await transact_of(database)(lambda unit: unit.fetchval("select balance from account where id = 'a'")) == 100
    assert proxy.cuts == 1


async def test_while_wires_are_cut_all_the_time_every_answer_is_true(proxy, admin):
    """Before and after COMMIT in turn: an acknowledged deposit happened once, a refused one not at all."""
    acknowledged = refused = 0

    async def customer(transact):
        nonlocal acknowledged, refused
        for _ in range(8):
            try:
                await transact(Deposit())
                acknowledged += 1
            except DatabaseUnavailable:
                refused += 1

    async with connected(proxy.url, limit=8, wait_s=60) as database:
        crowd = asyncio.gather(*(customer(transact_of(database)) for _ in range(16)))
        while not crowd.done():
            if proxy.cut is None:
                proxy.cut = "after" if proxy.cuts % 2 else "before"
            await asyncio.sleep(0.005)  # the pace of the story, between two looks
        await crowd

    assert acknowledged + refused == 128
    assert acknowledged > 64
    assert proxy.cuts > 10
    assert tuple(await effects(admin)) == (100 + 5 * acknowledged, acknowledged)
