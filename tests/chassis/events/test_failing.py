"""A failing event delays its own key and nothing else, and never disappears."""

from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from shared.domain.guard import outbound
from shared.infra.db.unit_of_work import Unregistered
from tests.chassis.conftest import Two
from tests.chassis.events.conftest import Listener
from tests.chassis.two_modules import Keeping


async def test_a_failing_event_leaves_no_trace_and_is_tried_again_with_later_ones_of_its_key_behind_it(two: Two, listener: Listener):
    listener.fails["bad"] = 2
    worker = listener.worker()
    await two.make.make("a", note="good")
    await two.make.make("a", note="bad")
    await two.make.make("a", note="after")
    await two.make.make("b", note="other")
    await worker.drain()
    assert await listener.heard() == {"a": [1], "b": [1]}
    await two.make.make("a", note="later still")
    await worker.drain()
    assert await listener.states() == ["ready", "blocked", "blocked"]
    await listener.make_due()
    await worker.drain()
    assert await listener.heard() == {"a": [1], "b": [1]}
    await listener.make_due()
    await worker.drain()
    assert await listener.heard() == {"a": [1, 2, 3, 4], "b": [1]}
    await two.make.make("a", note="flows again")
    await worker.drain()
    assert (await listener.heard())["a"] == [1, 2, 3, 4, 5]
    assert await listener.states() == ["done"] * 3


async def test_what_a_failing_handler_recorded_is_forgotten_with_its_rows(two: Two, listener: Listener):
    async def handle(work: Keeping, delivery) -> None:
        work.enqueue("unknown", delivery.data)
        raise ValueError("no")

    await two.make.make("a")
    await listener.worker(handle).drain()
    assert await listener.states() == ["ready"]
    assert await two.admin.fetchval("select kind from keeper.task") == "event:keeper.things"


async def test_an_event_that_keeps_failing_is_dead_and_its_key_waits_for_an_operator(two: Two, listener: Listener):
    listener.fails["bad"] = 99
    worker = listener.worker()
    await two.make.make("a", note="bad")
    await two.make.make("a", note="after")
    with capture_logs() as logs:
        for _ in range(8):
            await worker.drain()
            await listener.make_due()
    assert listener.runs == ["bad"] * 8
    assert await listener.states() == ["dead", "blocked"]
    await two.make.make("a", note="later")
    await two.make.make("b", note="other")
    await worker.drain()
    assert await listener.heard() == {"b": [1]}
    told = [entry for entry in logs if entry["log_level"] in ("warning", "error")]
    assert [entry["event"] for entry in told] == ["event_set_aside", *["task_failed"] * 6, "task_dead"]
    assert [entry["sql"] for entry in told] == [3, *[2] * 7], "its own statements, and no other handler's"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("""payload = '{"thing_id": 7}'""", "Expected `str`, got `int`"),
        ("version = 2", "has version 2, and the subscriber knows 1"),
        ("""headers = '{"actor": []}'""", "Expected `str`, got `array`"),
    ],
)
async def test_an_event_that_cannot_be_read_is_dead_at_once_and_others_flow(two: Two, listener: Listener, spoil: str, reason: str):
    await two.make.make("a")
    await two.make.make("b")
    await two.admin.execute(f"update maker.event set {spoil} where key = 'a'")
    await listener.worker().drain()
    assert await listener.heard() == {"b": [1]}
    ((state, error),) = await two.admin.fetch("select state, last_error from keeper.task")
    assert state == "dead"
    assert reason in error


async def test_a_handler_that_calls_out_of_its_transaction_is_refused(two: Two, listener: Listener):
    async def handle(work: Keeping, delivery) -> None:
        outbound("a mail")

    await two.make.make("a")
    await listener.worker(handle).drain()
    assert await listener.states() == ["ready"]
    assert (await two.admin.fetchval("select last_error from keeper.task")).startswith("OutboundInTransaction: a mail")


async def test_a_deadlock_repeats_the_batch_and_counts_against_no_event(two: Two, listener: Listener):
    tries = 0

    async def handle(work: Keeping, delivery) -> None:
        nonlocal tries
        await work.note(delivery)
        if delivery.key == "b":
            tries += 1
            if tries < 3:
                await work.uow.execute("do $$ begin raise exception 'as if' using errcode = '40P01'; end $$")

    for thing in "abc":
        await two.make.make(thing)
    await listener.worker(handle).drain()
    assert await listener.heard() == {"a": [1], "b": [1], "c": [1]}
    assert await listener.states() == []


async def test_a_failed_statement_that_a_handler_swallowed_sets_only_its_own_event_aside(two: Two, listener: Listener):
    async def handle(work: Keeping, delivery) -> None:
        await work.note(delivery)
        if delivery.key == "a":
            with pytest.raises(Exception, match="nowhere"):
                await work.uow.execute("select * from nowhere")

    await two.make.make("a")
    await two.make.make("b")
    await listener.worker(handle).drain()
    assert await listener.heard() == {"b": [1]}
    assert await listener.states() == ["ready"]


async def test_a_handler_that_records_what_its_module_does_not_declare_ends_its_own_event_alone(two: Two, listener: Listener):
    """It is found out at the end of the batch, when nobody can say whose fault it was; one by one, it shows."""

    async def handle(work: Keeping, delivery) -> None:
        await work.note(delivery)
        if delivery.key == "a":
            work.enqueue("undeclared", delivery.data)

    for thing in "bac":
        await two.make.make(thing)
    worker = listener.worker(handle)
    refusals = 0
    while "dead" not in await listener.states():
        with suppress(Unregistered):
            await worker.drain()
            continue
        refusals += 1
        assert refusals < 10
    await worker.drain()
    assert await listener.heard() == {"b": [1], "c": [1]}
    assert await listener.states() == ["dead"]


async def test_a_set_aside_event_whose_claim_was_lost_has_no_effect_here(two: Two, listener: Listener):
    listener.fails["bad"] = 1
    worker = listener.worker()
    await two.make.make("a", note="bad")
    await worker.drain()
    await listener.make_due()
    (bench,) = worker.tasks._benches
    (claimed,) = await bench._claim(1)
    await two.admin.execute("update keeper.task set claim = 'of another worker'")
    await bench._run(claimed)
    assert await listener.heard() == {}
    assert await listener.states() == ["claimed"]
