"""Every module forgets in chunks that an index leads: no table is read from one end to the other for it."""

import re
from datetime import timedelta
from itertools import pairwise
from typing import Final

import asyncpg

from entrypoints.container import Root
from shared.infra.db.connections import Connection
from shared.infra.db.retention import CHUNK, Retention
from shared.infra.tasks.upkeep import retentions

WEEK: Final = timedelta(days=7)
FUNCTION: Final = re.compile(r"select (\w+)\(\$1, \$2\)")
INDEXED: Final = re.compile(r"(Index|Index Only|Bitmap Index|Tid) Scan")


async def statement(admin: Connection, retention: Retention) -> str:
    """The one that does the work, where it is done by a function of the owner."""
    called = FUNCTION.fullmatch(retention.forget)
    if called is None:
        return retention.forget
    source: str = await admin.fetchval("select prosrc from pg_proc where proname = $1", called[1])
    return source.replace("p_most", "$1").replace("p_keep", "$2")


async def plan_of(admin: Connection, schema: str, sql: str) -> list[str]:
    """As it would be for a table too large to be read whole."""
    await admin.execute(f"set search_path = {schema}, pg_temp; set enable_seqscan = off")
    return [row[0] for row in await admin.fetch(f"explain {sql}", CHUNK, WEEK)]


def unled(plan: list[str]) -> list[str]:
    """The scans that walk all of a table or of an index."""
    scans = [(scan, below) for scan, below in pairwise([*plan, ""]) if INDEXED.search(scan)]
    whole = [scan for scan, below in scans if not re.search(r"(Index|TID) Cond:", below)]
    return whole + [line for line in plan if "Seq Scan" in line]


async def test_an_index_leads_to_whatever_is_forgotten(container: Root, admin_dsn: str):
    admin = await asyncpg.connect(admin_dsn)
    looked_at = 0
    for module in container.modules():
        for retention in retentions(module):
            plan = await plan_of(admin, module.name, await statement(admin, retention))
            assert unled(plan) == [], (module.name, retention.what, plan)
            assert "Limit" in "".join(plan), f"{module.name}: {retention.what} go without a limit"
            looked_at += 1
    await admin.close()
    assert looked_at >= 6 * 6 + 4 + 3


async def test_a_planted_statement_without_an_index_is_found(container: Root, admin_dsn: str):
    admin = await asyncpg.connect(admin_dsn)
    plan = await plan_of(admin, "catalog", "delete from task where created_at < now() - $2::interval and $1::integer > 0")
    assert unled(plan)
    await admin.close()
