"""The statements that run all day long find what they want by an index, also where they were planned on an empty table."""

import pytest

from shared.infra.events.cursor import Cursor
from shared.infra.events.registry import Consumer
from shared.infra.events.subscription import On, database
from shared.infra.tasks import claims
from shared.infra.tasks.upkeep import OF_CHASSIS
from tests.chassis.conftest import Two
from tests.chassis.two_modules import Seen, keeper, note

TABLES = "keeper.task, keeper.idempotency_key, keeper.inbox, keeper.saga, keeper.saga_step"
FILL = """
insert into maker.event (event_id, type, version, key, shard, aggregate_version, payload, headers)
select 'evt_' || n, 'maker.made', 1, 'k' || n, n % 64, 1, '{}', '{}' from generate_series(1, 3000) n;
insert into keeper.task (id, kind, key, payload, headers, state, ended_at)
select 'tsk_' || n, 'event:keeper.things', 'k' || n, '{}', '{}', 'done', now() from generate_series(1, 3000) n;
insert into keeper.idempotency_key (scope, key, fingerprint, saga_id, expires_at) select 's', n, '', 'sag_' || n, now() + interval '1 day'
from generate_series(1, 3000) n;
insert into keeper.inbox (subscription, message_id) select 's', n from generate_series(1, 3000) n;
insert into keeper.saga (id, name, version, key, owner, data) select 'sag_' || n, 's', 1, 'k', 'o', '{}' from generate_series(1, 3000) n;
insert into keeper.saga_step (saga_id, step, direction, state)
select 'sag_' || n, step, 'forward', 'done' from generate_series(1, 3000) n, generate_series(1, 6) step;
"""


@pytest.mark.parametrize("known", ["as empty", "as full"])
async def test_no_statement_of_the_dispatcher_or_of_the_workers_scans_a_whole_table(fresh_two: Two, known: str):
    two = fresh_two
    if known == "as empty":
        await two.admin.execute("vacuum analyze maker.event")
        await two.admin.execute(f"vacuum analyze {TABLES}")
    await two.admin.execute(FILL)
    if known == "as full":
        present = await two.admin.fetchval("select tableoid::regclass from maker.event limit 1")
        await two.admin.execute(f"analyze {present}; analyze {TABLES}")
    await two.admin.execute("set search_path = keeper; set plan_cache_mode = force_generic_plan; set jit = off")
    module = keeper(two.connections, database("keeper.things", "maker", {"maker.made": On(Seen, note)}))
    cursor = Cursor(Consumer(module, module.subscriptions[0]))
    window = "pg_snapshot, text, text[], smallint, smallint, bigint"
    for sql, types, in_a_batch in (
        (cursor._mark, "text, text, text, text[], integer", False),
        (cursor._open, window, True),
        (cursor._window_end, "pg_snapshot, pg_snapshot", True),
        (cursor._continue, f"{window}, bigint, bigint, pg_snapshot", True),
        (claims._CLAIM, "text, text[], integer, float8", False),
        (claims._RENEW, "text[], text[], float8", False),
        (claims._SETTLE, "text[], text[], text[], float8[], text[], boolean[], text[]", False),
        (claims._RECLAIM, "integer", False),
        (claims._UNBLOCK, "", False),
        *((retention.forget, "integer, interval", False) for retention in OF_CHASSIS),
    ):
        await two.admin.execute(f"set enable_seqscan = {'off' if in_a_batch else 'on'}")  # as the batch's first statement does
        await two.admin.execute(f"prepare asked {f'({types})' if types else ''} as {sql}")
        nothing = ", ".join("null" for _ in types.split(", ")) if types else ""
        plan = "\n".join(row[0] for row in await two.admin.fetch(f"explain execute asked {f'({nothing})' if nothing else ''}"))
        await two.admin.execute("deallocate asked")
        scanned = [line.strip() for line in plan.splitlines() if "Seq Scan" in line and " on cursor" not in line]
        assert scanned == [], f"{sql}\n{plan}"
