"""The last statement of a transaction: one for all that is only added, with the swap of a saga in it."""

from contextlib import suppress

import pytest

from shared.domain.context import Context, begin, current
from shared.domain.errors import Conflict
from shared.domain.once import Answer, Once, once
from shared.infra.db.closing import ROOM, XID, Addition, Swap, closings
from shared.infra.db.errors import constraint
from tests.chassis.db.till import ERRAND, TASK, Errand, move

ADD = "insert into account (id, balance) values ($1, $2)"


def test_nothing_to_write_is_no_statement():
    assert list(closings([])) == []


def test_the_parameters_of_each_part_are_counted_on():
    [(sql, arguments)] = closings([Addition("insert into a values ($1, $2, $1)", (1, 2)), Addition("insert into b values ($1)", (3,))])
    assert sql == f"with added_0 as (insert into a values ($1, $2, $1)), added_1 as (insert into b values ($3)) select {XID}"
    assert arguments == [1, 2, 3]


def test_a_swap_comes_first_and_answers():
    swap = Swap("swapped as (update c set d = $2 where e = $1 returning d)", "select d, $2 from swapped", (1, 2), KeyError())
    [(sql, arguments)] = closings([Addition("insert into a values ($1)", (3,))], swap)
    assert sql == f"with {swap.parts}, added_0 as (insert into a values ($3)) {swap.answer}"
    assert arguments == [1, 2, 3]


def test_too_many_parameters_make_several_statements_and_the_swap_is_in_the_last():
    half = Addition("insert into a values ($1)", [0] * (ROOM // 2))
    swap = Swap("swapped as (delete from c)", "select 1 from swapped", (), KeyError())
    first, last = closings([half] * 3, swap)
    assert [len(first[1]), len(last[1])] == [ROOM, ROOM // 2]
    assert "swapped" not in first[0]
    assert "swapped" in last[0]


async def test_everything_that_a_transaction_only_adds_is_one_statement(transact, admin):
    async def work(unit):
        unit.append(ADD, "c", 7)
        unit.enqueue(TASK, Errand("a"))
        unit.begin_saga(ERRAND.name, Errand("a"), key="a")
        await move(unit, "a", 1)

    begin(Context())
    once.set(Once("user:usr_1 POST /v1/moves", "one statement", b"", lambda _: Answer(201, b"")))
    await transact(work)

    claim, change, closing = 1, 1, 1
    assert current().sql_count == claim + change + closing
    counts = "select (select count(*) from event), (select count(*) from task), (select count(*) from saga)"
    assert tuple(await admin.fetchrow(counts)) == (1, 1, 1)
    assert await admin.fetchval("select count(*) from idempotency_key where key = 'one statement'") == 1
    assert await admin.fetchval("select balance from account where id = 'c'") == 7


async def test_a_write_tells_how_many_rows_it_changed_and_saves_asking_for_the_transaction(transact):
    async def work(unit):
        changed = await unit.write("update account set balance = 1 where id = any($1)", ["a", "b", "unknown"])
        assert unit.xid is not None
        return changed

    begin(Context())
    assert await transact(work) == 2
    assert current().sql_count == 1


async def test_rows_that_are_refused_at_the_end_leave_nothing(transact, admin):
    async def work(unit):
        async with unit.savepoint():
            unit.append(ADD, "a", 1)
        await move(unit, "b", 5)

    with pytest.raises(Exception, match="account_pkey") as refused:
        await transact(work)
    assert constraint(refused.value) == "account_pkey"
    assert await admin.fetchval("select balance from account where id = 'b'") == 100


async def test_what_a_savepoint_has_undone_is_not_added(transact, admin):
    async def work(unit):
        unit.append(ADD, "kept", 1)
        with suppress(Conflict):
            async with unit.savepoint():
                unit.append(ADD, "undone", 1)
                raise Conflict("no")

    await transact(work)
    assert [row[0] for row in await admin.fetch("select id from account where balance = 1")] == ["kept"]


async def test_a_swap_that_finds_something_else_undoes_the_transaction(transact, admin):
    class Overtaken(Exception):
        pass

    parts = "swapped as (update account set balance = 0 where id = 'a' and version = $1 returning balance)"

    async def work(unit):
        await move(unit, "b", 5)
        swap = Swap(parts, f"select balance, {XID} from swapped", (unit_version,), Overtaken())
        unit.swap(swap)
        return swap

    unit_version = 99
    with pytest.raises(Overtaken):
        await transact(work)
    assert await admin.fetchval("select count(*) from event") == 0

    unit_version = 1
    assert (await transact(work)).row["balance"] == 0
    assert await admin.fetchval("select count(*) from event") == 1
