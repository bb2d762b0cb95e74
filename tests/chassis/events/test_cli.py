"""`tenon events` and `tenon tasks`, as an operator types them."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from entrypoints.commands.deliveries import events, tasks
from shared.domain.events import Delivery
from shared.infra.db.transact import Transact
from shared.infra.events.subscription import On, database
from shared.infra.tasks.kind import TaskKind
from tests.chassis.conftest import Two
from tests.chassis.events.conftest import Listener
from tests.chassis.two_modules import Keeping, Seen, connect, keeper, maker


async def ignore(*_: object) -> None: ...


async def typed(two: Two, group: click.Group, *arguments: str) -> Result:
    """In a thread, because a command has an event loop of its own."""

    def root() -> Any:
        connections = connect(two.url)
        listening = database("keeper.things", "maker", {"maker.made": On(Seen, ignore)})
        return SimpleNamespace(
            modules=lambda: [maker(connections), keeper(connections, listening)],
            settings=lambda: SimpleNamespace(modules=(), db_connections=24),
            shared=SimpleNamespace(connections=lambda: connections),
        )

    return await asyncio.to_thread(lambda: CliRunner(env={"COLUMNS": "300"}).invoke(group, arguments, obj=root))


@pytest.fixture
async def dead(two: Two, listener: Listener) -> str:
    """An event of the key `a` that is dead, with another behind it; answers its task's id."""
    listener.fails["bad"] = 8
    worker = listener.worker()
    await two.make.make("a", note="bad")
    await two.make.make("a", note="behind")
    for _ in range(8):
        await worker.drain()
        await listener.make_due()
    return str(await two.admin.fetchval("select id from keeper.task where state = 'dead'"))


async def test_a_dead_event_is_found_looked_at_and_tried_again(two: Two, listener: Listener, dead: str):
    listed = await typed(two, events, "list", "--state", "dead")
    assert dead in listed.stdout
    assert "ValueError" in listed.stdout
    assert "bad went wrong" not in listed.stdout, "what an error of any type says may be a secret"
    shown = json.loads((await typed(two, events, "show", dead)).stdout)
    assert shown["payload"]["payload"] == {"thing_id": "a", "note": "bad"}
    assert shown["task"]["attempts"] == 8
    for _ in range(2):
        assert (await typed(two, events, "retry", dead)).exit_code == 0
    await listener.worker().drain()
    assert await listener.heard() == {"a": [1, 2]}
    again = await typed(two, events, "retry", dead)
    assert again.exit_code == 1
    assert "is done" in again.stderr


async def test_a_discarded_event_is_kept_with_its_reason_and_lets_its_key_go_on(two: Two, listener: Listener, dead: str):
    for incomplete in (["--reason", "known to be wrong"], ["--by", "ada"]):
        assert (await typed(two, events, "discard", dead, *incomplete)).exit_code == 2
    for _ in range(2):
        assert (await typed(two, events, "discard", dead, "--reason", "known to be wrong", "--by", "ada")).exit_code == 0
    await listener.worker().drain()
    assert await listener.heard() == {"a": [2]}
    shown = json.loads((await typed(two, events, "show", dead)).stdout)
    assert (shown["task"]["state"], shown["reason"], shown["ended_by"]) == ("discarded", "known to be wrong", "ada")


async def test_all_dead_events_of_a_subscription_are_tried_again_in_bounded_steps(two: Two, listener: Listener):
    listener.fails["bad"] = 1000
    worker = listener.worker()
    for thing in "abc":
        await two.make.make(thing, note="bad")
    await worker.drain()
    await two.admin.execute("update keeper.task set state = 'dead'")
    listener.fails.clear()
    for expected in ("2 will", "1 will", "0 will"):
        assert expected in (await typed(two, events, "retry", "--dead", "event:keeper.things", "--limit", "2")).stdout
    await worker.drain()
    assert await listener.heard() == {"a": [1], "b": [1], "c": [1]}


async def test_a_paused_subscription_is_shown_with_what_it_has_not_read_and_reads_on_when_resumed(two: Two, listener: Listener):
    assert (await typed(two, events, "pause", "keeper.things", "--by", "ada")).exit_code == 0
    for thing in "abc":
        await two.make.make(thing)
    await listener.worker().drain()
    shown = (await typed(two, events, "subscriptions")).stdout
    assert "by ada" in shown
    assert shown.splitlines()[1].split()[:6] == ["keeper.things", "maker", "0", "3", "0", "0"]
    assert (await typed(two, events, "resume", "keeper.things")).exit_code == 0
    await listener.worker().drain()
    assert await listener.heard() == {"a": [1], "b": [1], "c": [1]}
    assert (await typed(two, events, "pause", "no.such", "--by", "ada")).exit_code == 1


async def test_a_task_is_cancelled_at_once_while_it_waits_and_told_while_it_runs(two: Two):
    await two.admin.execute("""
        insert into keeper.task (id, kind, payload, headers, state, claim, claimed_until) values
        ('waits', 'chore', '{}', '{}', 'ready', null, null), ('runs', 'chore', '{}', '{}', 'claimed', 'c', now() + interval '1 hour')
    """)
    assert (await typed(two, tasks, "cancel", "waits", "--by", "ada")).stdout.endswith("waits is cancelled.\n")
    assert (await typed(two, tasks, "cancel", "waits", "--by", "eve")).stdout.endswith("waits is cancelled.\n")
    assert (await typed(two, tasks, "cancel", "runs", "--by", "ada")).stdout.endswith("runs runs, and was told to end.\n")
    rows = await two.admin.fetch("select id, state, cancelled_by, ended_by from keeper.task order by id")
    assert [tuple(row) for row in rows] == [("runs", "claimed", "ada", None), ("waits", "discarded", "ada", "ada")]
    assert json.loads((await typed(two, tasks, "show", "runs")).stdout)["task"]["cancelled_by"] == "ada"
    assert (await typed(two, tasks, "cancel", "nothing", "--by", "ada")).exit_code == 1


async def test_of_dead_tasks_with_one_unique_value_one_is_tried_again_at_a_time(two: Two):
    await two.admin.execute("""
        insert into keeper.task (id, kind, payload, headers, state, unique_key, ended_at)
        select 'tsk_' || n, 'chore', '{}', '{}', 'dead', case n when 4 then null else 'u' end, now() from generate_series(1, 4) n
    """)
    assert (await typed(two, tasks, "retry", "tsk_2")).exit_code == 1, "an older one comes first"
    assert "2 will" in (await typed(two, tasks, "retry", "--dead", "chore")).stdout
    ready = await two.admin.fetch("select id from keeper.task where state = 'ready' order by id")
    assert [row["id"] for row in ready] == ["tsk_1", "tsk_4"]
    assert (await typed(two, tasks, "retry", "tsk_2")).exit_code == 1, "another one is alive"
    await two.admin.execute("update keeper.task set state = 'done' where id = 'tsk_1'")
    assert (await typed(two, tasks, "retry", "tsk_2")).exit_code == 0


async def test_lists_are_paged_and_tasks_and_events_are_told_apart(two: Two, dead: str):
    async def run(chore: Delivery[Seen], key: str) -> None: ...

    module = keeper(two.connections, tasks=[TaskKind("chore", Seen, run)])

    async def work(keeping: Keeping) -> None:
        for number in range(5):
            keeping.enqueue("chore", Seen(str(number)), key="k")

    await Transact(module.database, Keeping, tasks=["chore"])(work)
    ids = [row["id"] for row in await two.admin.fetch("select id from keeper.task where kind = 'chore' order by id desc")]
    first = await typed(two, tasks, "list", "--limit", "3")
    assert [id for id in ids if id in first.stdout] == ids[:3]
    assert f"--before {ids[2]}" in first.stderr
    second = await typed(two, tasks, "list", "--limit", "3", "--before", ids[2])
    assert [id for id in ids if id in second.stdout] == ids[3:]
    assert dead not in second.stdout
    assert (await typed(two, tasks, "show", dead)).exit_code == 1
    assert (await typed(two, tasks, "discard", ids[0], "--reason", "not needed", "--by", "ada")).exit_code == 0
    assert (await typed(two, tasks, "retry")).exit_code == 2
