"""What the clock removes in every module: rows whose time is over, in chunks that an index leads, and nothing else."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from shared.api.idempotency import MONEY_DAYS, USUAL_DAYS
from shared.infra.db.connections import Connections
from shared.infra.db.retention import CHUNK, Retention
from shared.infra.events import inbox, partitions
from shared.infra.events.wakeup import Wakeup
from shared.infra.saga import retention as sagas
from shared.infra.tasks.cron import Scheduler
from shared.infra.tasks.retention import RESULTS
from shared.infra.tasks.worker import TaskWorker
from tests.chassis.conftest import Two
from tests.chassis.two_modules import keeper

MANY = CHUNK + 20

BEGUN = "lpad(to_hex((extract(epoch from now() - make_interval(days => days)) * 1000)::bigint), 12, '0')"
OLD_AND_NEW = {
    "task": """
        insert into keeper.task (id, kind, state, payload, headers, result, ended_at, reason, ended_by)
        select what || n || '_' || days, 'k', case what when 'result' then 'done' else what end, '{}', '{}',
            case what when 'result' then '{}'::jsonb end, now() - make_interval(days => days), 'r', 'me'
        from generate_series(1, $1) n, unnest(array['done', 'result', 'discarded', 'dead', 'ready']) what, unnest(array[0, 2, 31, 91]) days
        where n = 1 or (what, days) in (('done', 2), ('result', 31), ('discarded', 91))
    """,
    "idempotency_key": """
        insert into keeper.idempotency_key (scope, key, fingerprint, status, body, headers, expires_at)
        select 's', days || '_' || n, '', 200, '', '[]', now() + make_interval(days => days)
        from generate_series(1, $1) n, unnest(array[-1, 1]) days where n = 1 or days < 0
    """,
    "inbox": """
        insert into keeper.inbox (subscription, message_id, received_at)
        select 's', days || '_' || n, now() - make_interval(days => days)
        from generate_series(1, $1) n, unnest(array[39, 41]) days where n = 1 or days = 41
    """,
    "saga": f"""
        with added as (
            insert into keeper.saga (id, name, version, key, owner, state, data, started_at, ended_at, outcome)
            select 'sag_' || {BEGUN} || lpad((9 * n + place)::text, 20, '0'), 'buy', 1, state || days || '_' || n, 'o', state, '{{}}',
                now() - make_interval(days => days),
                case when state in ('done', 'failed') then now() - make_interval(days => days) end, '{{}}'
            from generate_series(1, $1) n, unnest(array[34, 36]) days,
                unnest(array['done', 'failed', 'stuck', 'running']) with ordinality as states (state, place)
            where n = 1 or (state, days) = ('done', 36)
            returning id
        ) insert into keeper.saga_step (saga_id, step, direction, state) select id, 'pay', 'forward', 'done' from added
    """,
}
LEFT = {
    "task": (
        "id",
        {f"{what}1_{days}" for what, kept in {"done": [0], "result": [0, 2], "discarded": [0, 2, 31]}.items() for days in kept}
        | {f"{what}1_{days}" for what in ("dead", "ready") for days in (0, 2, 31, 91)},
    ),
    "idempotency_key": ("key", {"1_1"}),
    "inbox": ("message_id", {"39_1"}),
    "saga": ("key", {"done34_1", "failed34_1", "stuck34_1", "running34_1", "stuck36_1", "running36_1"}),
}

FORGET_ALL = """
with gone as (delete from inbox where subscription = 't' and $1::integer > 0 and $2::interval > '0' returning 1) select count(*) from gone
"""


async def tend(connections: Connections, *retentions: Retention) -> int:
    """Let the clock begin the upkeep, and a worker do it; answers how many tasks it was."""
    module = keeper(connections, retentions=retentions)
    wakeup = Wakeup([module.database])
    await Scheduler([module], wakeup).tick()
    return await TaskWorker([module], wakeup).drain()


async def test_the_clock_begins_it_once_in_ten_minutes(two: Two):
    await tend(two.connections)
    await tend(two.connections)
    rows = await two.admin.fetch("select kind, state from keeper.task where starts_with(kind, 'keeper.') order by kind")
    assert len(rows) in (2, 4), "or the ten minutes were over in between"
    assert {tuple(row) for row in rows} == {("keeper.forget_rows", "done"), ("keeper.tend_log", "done")}


@pytest.mark.parametrize("table", OLD_AND_NEW)
async def test_what_is_over_is_removed_chunk_by_chunk_and_nothing_else(two: Two, table: str):
    await two.admin.fetch(OLD_AND_NEW[table], MANY)
    await two.admin.execute("update keeper.task set due_at = now() + interval '1 day'")
    await tend(two.connections)
    column, left = LEFT[table]
    rows = await two.admin.fetch(f"select {column} from keeper.{table}")
    assert {row[0] for row in rows if not str(row[0]).startswith("cron:")} == left
    assert await two.admin.fetchval("select count(*) from keeper.saga_step where saga_id not in (select id from keeper.saga)") == 0
    if table == "saga":
        assert await two.admin.fetchval("select count(*) from keeper.saga_step") == len(left)


async def test_the_trouble_of_one_table_keeps_no_other_waiting_and_is_told(two: Two):
    await two.admin.execute("insert into keeper.inbox (subscription, message_id) values ('t', 'one')")
    broken = Retention("broken", timedelta(0), "select 1 / 0, $1::integer, $2::interval")
    with capture_logs() as logs:
        await tend(two.connections, broken, Retention("notes", timedelta(days=1), FORGET_ALL))
    assert await two.admin.fetchval("select count(*) from keeper.inbox") == 0
    assert await two.admin.fetchval("select state from keeper.task where kind = 'keeper.forget_rows'") == "ready"
    assert {"rows_forgotten", "task_failed"} <= {entry["event"] for entry in logs}


def test_what_somebody_may_still_ask_for_is_kept_for_longer():
    longest_key = timedelta(days=max(MONEY_DAYS, USUAL_DAYS))
    assert inbox.KEEP > partitions.KEEP, "a message is recognised for longer than it could be replayed"
    assert longest_key < sagas.KEEP, "a repeated request is answered from its saga's outcome"
    assert timedelta(days=USUAL_DAYS) < RESULTS.keep, "a repeated request leads to its job"
