"""What the worker removes by itself, in every module: ended tasks, idempotency keys and messages whose time is over."""

import pytest

from shared.infra.events import inbox, partitions
from shared.infra.events.wakeup import Wakeup
from shared.infra.supervisor import supervised
from shared.infra.tasks.worker import CHUNK, TaskWorker
from tests.chassis.conftest import Two
from tests.chassis.two_modules import keeper
from tests.chassis.waiting import until

MANY = CHUNK + 20

OLD_AND_NEW = {
    "task": """
        insert into keeper.task (id, kind, state, payload, headers, ended_at, reason, ended_by)
        select state || n || '_' || days, 'k', state, '{}', '{}', now() - make_interval(days => days), 'r', 'me'
        from generate_series(1, $1) n, unnest(array['done', 'discarded', 'dead']) state, unnest(array[0, 2, 91]) days
        where n = 1 or (state, days) = ('done', 2)
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
}
LEFT = {
    "task": ("id", {"dead1_0", "dead1_2", "dead1_91", "discarded1_0", "discarded1_2", "done1_0"}),
    "idempotency_key": ("key", {"1_1"}),
    "inbox": ("message_id", {"39_1"}),
}


@pytest.mark.parametrize("table", OLD_AND_NEW)
async def test_what_is_over_is_removed_chunk_by_chunk_and_nothing_else(two: Two, table: str):
    await two.admin.execute(f"delete from keeper.{table}")
    await two.admin.fetch(OLD_AND_NEW[table], MANY)
    module = keeper(two.connections)
    column, left = LEFT[table]

    async def only_these() -> bool:
        return {row[0] for row in await two.admin.fetch(f"select {column} from keeper.{table}")} == left

    async with supervised(TaskWorker([module], Wakeup([module.database]), claim_s=0.3).loops()):
        await until(only_these)


def test_a_message_is_recognised_for_longer_than_it_could_be_replayed():
    assert inbox.KEEP > partitions.KEEP
