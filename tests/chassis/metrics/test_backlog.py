"""What waits in the tables is read by a scrape, seldom, within a time limit, and without harm where the database is gone."""

import httpx
import msgspec
import pytest

from entrypoints.development.children import free_port
from shared.domain.context import current
from shared.infra.config import Settings
from shared.infra.events import desk, subscription
from shared.infra.metrics import backlog
from shared.infra.metrics.backlog import Backlog
from shared.infra.tasks.kind import Nothing, TaskKind
from shared.infra.worker import Worker
from shared.module import Module
from tests.chassis.conftest import Two
from tests.chassis.metrics.conftest import parsed
from tests.chassis.two_modules import Seen, keeper, note
from tests.support import application

TASK = "insert into keeper.task (id, kind, state, payload, headers, due_at) values ($1, $2, $3, '{}', '{}', now() - interval '1 hour')"
SAGA = "insert into keeper.saga (id, name, version, key, owner, state, data) values ($1, 'move', 1, 'k', 'user:1', $2, '{}')"


async def polish(payload: Nothing, key: str) -> None:
    """A task of keeper's."""


def listening(two: Two) -> Module:
    things = subscription.database("keeper.things", "maker", {"maker.made": subscription.On(Seen, note)})
    return keeper(two.connections, things, tasks=[TaskKind("polish", Nothing, polish)])


async def told(of: Backlog) -> dict[tuple[str, ...], float]:
    return {(family.name, *labels): value for family in await of.families() for labels, value in family.points}


async def test_it_tells_how_far_each_subscription_is_behind_and_for_how_long(two: Two):
    module = listening(two)
    await two.make.make("a", "b", "c")
    await two.admin.execute("update maker.event set created_at = now() - interval '1 hour' where key = 'b'")
    behind = await told(Backlog([module], {}))
    assert behind["tenon_subscription_lag_events", "keeper.things"] == 3
    assert behind["tenon_subscription_lag_seconds", "keeper.things"] >= 3600
    await Worker([module]).drain()
    await two.admin.execute("update keeper.cursor set paused_at = now(), paused_by = 'me'")
    level = await told(Backlog([module], {}))
    assert [level[f"tenon_subscription_{what}", "keeper.things"] for what in ("lag_events", "lag_seconds", "paused")] == [0, 0, 1]


async def test_it_tells_of_tasks_and_sagas_by_state_and_how_long_the_oldest_has_been_due(two: Two):
    module = listening(two)
    tasks = [("polish", "ready"), ("polish", "ready"), ("event:keeper.things", "dead"), ("polish", "done")]
    await two.admin.executemany(TASK, [(f"tsk_{number}", *task) for number, task in enumerate(tasks)])
    await two.admin.executemany(SAGA, [("sag_1", "running"), ("sag_2", "stuck"), ("sag_3", "stuck")])
    found = await told(Backlog([module], {}))
    assert found["tenon_tasks", "keeper", "polish", "ready"] == 2
    assert found["tenon_tasks", "keeper", "polish", "dead"] == 0
    assert found["tenon_tasks", "keeper", "event:keeper.things", "dead"] == 1
    assert ("tenon_tasks", "keeper", "polish", "done") not in found
    assert found["tenon_tasks_overdue_seconds", "keeper", "polish"] >= 3600
    assert found["tenon_sagas", "keeper", "move", "stuck"] == 2
    assert found["tenon_event_log_strays", "keeper"] == 0


async def test_what_was_read_is_good_for_a_while_whoever_asks(two: Two):
    found = Backlog([listening(two)], {})
    await told(found)
    asked = current().sql_count
    await told(found)
    assert current().sql_count == asked
    anew = Backlog([listening(two)], {}, good_for_s=0)
    await told(anew)
    await told(anew)
    assert current().sql_count > asked


async def test_a_database_that_hangs_costs_a_moment_and_the_others_are_told_all_the_same(two: Two, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backlog, "WITHIN_S", 0.1)
    await two.admin.execute("begin; lock table keeper.task")
    found = await told(Backlog([listening(two), two.maker], {}))
    await two.admin.execute("rollback")
    assert found["tenon_check_passing", "database:keeper"] == 0
    assert found["tenon_check_passing", "database:maker"] == 1
    assert {name for name, *labels in found if "keeper" in labels} == set(), "half of what there is would be read as all of it"
    assert two.connections.waiting == 0


FILL = """
insert into maker.event (event_id, type, version, key, shard, aggregate_version, payload, headers)
select 'evt_' || n, 'maker.made', 1, 'k', 0, 1, '{}', '{}' from generate_series(1, 5000) n;
insert into keeper.task (id, kind, payload, headers, state, ended_at)
select 'tsk_' || n, 'polish', '{}', '{}', 'done', now() from generate_series(1, 5000) n;
insert into keeper.saga (id, name, version, key, owner, state, data, outcome, ended_at)
select 'sag_' || n, 'move', 1, 'k', 'user:1', 'done', '{}', '{}', now() from generate_series(1, 5000) n;
update keeper.cursor set consumed = pg_current_snapshot();
analyze maker.event, keeper.task, keeper.saga;
"""


async def test_it_walks_no_table_however_much_is_done(fresh_two: Two):
    await fresh_two.admin.execute(FILL)
    await fresh_two.admin.execute("set search_path = keeper")
    statements = [backlog._TASKS, backlog._SAGAS, desk._BEHIND.format(publisher="maker")]
    for sql, arguments in zip(statements, ([], [], ["keeper.things", "maker", 0, ["maker.made"]]), strict=True):
        plan = "\n".join(row[0] for row in await fresh_two.admin.fetch(f"explain {sql}", *arguments))
        scanned = [line for line in plan.splitlines() if "Seq Scan" in line and "on cursor" not in line]
        assert [line for line in scanned if "cost=0.00..0.00" not in line] == [], f"more than the empty partitions of weeks to come\n{plan}"


async def test_a_check_that_fails_is_told_by_its_name():
    async def well() -> None:
        return None

    async def ill() -> None:
        raise ConnectionError

    found = await told(Backlog([], {"redis": ill, "payments:trial_balance": well}))
    assert found == {("tenon_check_passing", "redis"): 0.0, ("tenon_check_passing", "payments:trial_balance"): 1.0}


async def test_without_a_database_a_scrape_is_answered_with_what_the_process_knows(settings: Settings):
    port = free_port()
    gone = msgspec.structs.replace(settings, metrics_port=port, database_url=f"postgresql://127.0.0.1:{free_port()}/gone")
    async with application.composed(gone) as root, application.client(root) as client, httpx.AsyncClient() as prometheus:
        assert (await client.get("/v1/products")).status_code == 503
        scrape = parsed((await prometheus.get(f"http://127.0.0.1:{port}/metrics")).raise_for_status().text)
    assert scrape.get("tenon_http_requests_total", method="GET", route="/v1/products", status="503") == 1
    assert scrape.get("tenon_check_passing", check="database:catalog") == 0
    assert scrape.get("tenon_check_passing", check="redis") == 1
