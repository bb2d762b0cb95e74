"""A statement that is sent in a loop is found, located and told; a budget that is exceeded lists what was sent."""

from time import perf_counter
from typing import Any, cast

import httpx
import pytest
from litestar import Controller
from litestar.di import NamedDependency
from sqlalchemy import select, text
from structlog.testing import capture_logs

from shared.api.answers import Reply, ok
from shared.api.routes import get
from shared.domain.context import OFTEN, Context, begin
from shared.domain.guard import hold, let_go
from shared.domain.policy import public
from shared.infra.db.loader import Loader
from shared.infra.db.repeats import watched
from shared.infra.db.statements import count
from tests.chassis.api.tiny import TinyModule, tiny
from tests.chassis.db.till import move
from tests.support.queries import Transport

BALANCE = "select balance from account where id = $1"


class Balances:
    def __init__(self, database) -> None:
        self._database = database

    async def of(self, account: str) -> int:
        return int(await self._database.fetchval(BALANCE, account))


async def each_by_itself(balances: Balances, times: int) -> None:
    for _ in range(times):
        await balances.of("a")


@pytest.fixture
def context() -> Context:
    context = Context(sent={})
    begin(context)
    return context


async def test_a_statement_in_a_loop_is_located_with_who_called_it(database, context):
    await each_by_itself(Balances(database), OFTEN + 2)
    [repeat] = context.repeats()
    assert (repeat.statement, repeat.count) == (BALANCE, OFTEN + 2)
    sender, caller, _ = repeat.at.split(" < ")
    assert sender.startswith("tests/chassis/db/test_repeats.py:")
    assert sender.endswith(" in Balances.of")
    assert caller.endswith("in each_by_itself")


async def test_a_few_times_are_no_loop_nor_are_other_statements_nor_those_that_say_why(database, context):
    await each_by_itself(Balances(database), OFTEN - 1)
    for number in range(OFTEN):
        await database.fetch(f"select {number}")
    for _ in range(OFTEN):
        await database.fetch("select 1 /* one by one: for a reason */")
    assert context.repeats() == []


async def test_the_same_words_in_another_schema_are_another_statement(database, context):
    for role in range(OFTEN):
        held = hold(f"tenon_{role}")
        count(BALANCE, perf_counter())
        let_go(held)
    assert context.repeats() == []


async def test_a_loop_in_a_transaction_or_through_sqlalchemy_is_found_too(transact, context):
    async def work(unit):
        session = await unit.session()
        for _ in range(OFTEN):
            await move(unit, "a", 1)
            await session.execute(select(text("1")))

    await transact(work)
    moved, asked = context.repeats()
    assert "tests/chassis/db/till.py" in moved.at
    assert asked.at.startswith("tests/chassis/db/test_repeats.py:")


async def test_point_reads_one_after_the_other_are_a_loop(context):
    async def read(keys: list[str]) -> dict[str, str]:
        return {key: key for key in keys}

    loader = Loader(read)
    for key in "abcde":
        await loader.get(key)
    assert [repeat.count for repeat in context.repeats()] == [OFTEN]


async def test_background_work_tells_its_loops_and_a_loop_without_end_is_none(database):
    begin(Context())
    await each_by_itself(Balances(database), OFTEN)
    with capture_logs() as lines:
        with watched("till.moved at shelf.moves"):
            await each_by_itself(Balances(database), OFTEN)
        with watched("till.moved at shelf.moves"):
            await each_by_itself(Balances(database), 1)
    [line] = lines
    assert {name: line[name] for name in ("event", "work", "statement", "count")} == {
        "event": "n_plus_one",
        "work": "till.moved at shelf.moves",
        "statement": BALANCE,
        "count": OFTEN,
    }
    assert "in Balances.of" in line["at"]


class Loops:
    """Stands for queries: it counts as they do."""

    async def send(self) -> None:
        for _ in range(OFTEN):
            count(BALANCE, perf_counter())


class LoopRoutes(Controller):
    path = "/v1/loops"

    @get(operation="readLoops")
    async def read(self, loops: NamedDependency[Loops]) -> Reply[dict[str, str]]:
        """Read in a loop."""
        await loops.send()
        return ok({})


LOOPS = TinyModule("loops", [LoopRoutes], {"loops": Loops()}, {"readLoops": public()})


async def test_a_request_with_a_loop_tells_so_beside_its_line():
    async with tiny(more=[LOOPS]) as app:
        with capture_logs() as lines:
            await app.client.get("/v1/loops")
    request, told = lines
    assert (request["event"], told["event"]) == ("request", "n_plus_one")
    assert (told["method"], told["route"], told["statement"], told["count"]) == ("GET", "/v1/loops", BALANCE, OFTEN)
    assert told["at"].startswith("tests/chassis/db/test_repeats.py:")


async def test_a_request_with_a_loop_fails_the_test_that_sends_it():
    async with tiny(more=[LOOPS]) as app, httpx.AsyncClient(transport=Transport(cast("Any", app.app)), base_url="http://test") as client:
        with pytest.raises(AssertionError, match=r"N\+1: GET /v1/loops .*\n5 times select balance .*\n +at tests/chassis/db"):
            await client.get("/v1/loops")
        assert (await client.get("/v1/shelves")).status_code == 200


async def test_a_budget_counts_use_cases_and_refuses_their_loops(database, query_budget):
    balances = Balances(database)
    with query_budget(2) as spent:
        await each_by_itself(balances, 2)
    assert spent.count == 2
    with pytest.raises(AssertionError, match=r"2 statements, and 1 are the budget:\n +2 times select balance"), query_budget(1):
        await each_by_itself(balances, 2)
    with pytest.raises(AssertionError, match="N\\+1: this sends a statement in a loop"), query_budget(OFTEN):
        await each_by_itself(balances, OFTEN)


async def test_a_statement_of_sqlalchemy_that_fails_is_counted(transact, context):
    async def work(unit):
        await (await unit.session()).execute(text("select 1 / 0"))

    with pytest.raises(Exception, match="division by zero"):
        await transact(work)
    assert context.sql_count == 1
