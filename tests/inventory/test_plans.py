"""The hot statements of the inventory walk their indexes on large tables, with the runtime role's generic plans."""

from collections.abc import AsyncIterator

import pytest

from modules.inventory.container import InventoryContainer
from modules.inventory.infra import levels, queries, reservations
from shared.infra.db.connections import Connection
from tests.inventory.conftest import Store

ROWS = 20_000


@pytest.fixture
async def runtime(store: Store, wired: InventoryContainer) -> AsyncIterator[Connection]:
    await store.admin.execute(f"""
        insert into stock_level (location_id, sku, on_hand, reserved)
        select d.id, 'S' || n, 9, 1 from stock_location d, generate_series(1, {ROWS}) n;
        insert into reservation (id, key, state, location_id, expires_at)
        select 'rsv_' || n, 'k' || n, case when n % 100 = 0 then 'held' else 'committed' end, d.id, now() + n * interval '1 second'
        from stock_location d, generate_series(1, {ROWS}) n;
        insert into reservation_line select 'rsv_' || n, 'S' || n, 1 from generate_series(1, {ROWS}) n;
        analyze stock_level, reservation, reservation_line
    """)
    async with wired.shared.connections().use("tenon_inventory") as connection:
        yield connection


async def plan(connection: Connection, sql: str, *values: str) -> str:
    await connection.execute(f"prepare probe as {sql}")
    rows = await connection.fetch(f"explain (costs off) execute probe({', '.join(values)})")
    await connection.execute("deallocate probe")
    return "\n".join(row[0] for row in rows)


async def test_a_shift_of_any_number_of_lines_locks_by_index_in_order(runtime: Connection) -> None:
    for lines in (1, 2, 3, 10, 30):
        values = [part for n in range(lines) for part in ("'loc'", f"'S{n}'", "0", "0", "1")]
        found = await plan(runtime, levels._shift(lines), *values)
        assert "Seq Scan on stock_level" not in found, found
        lock, sort = found.index("LockRows"), found.index("Sort Key: l.location_id", found.index("LockRows"))
        assert lock < sort, found


async def test_reservations_are_found_by_key_by_id_and_by_expiry(runtime: Connection) -> None:
    for sql, values, index in (
        (reservations._LOCK, ["'k1'"], "reservation_key_key"),
        (reservations._LOCK_ID, ["'rsv_1'"], "reservation_pkey"),
        (reservations._LAPSED, ["100"], "reservation_lapsing"),
        (reservations._LAPSED_WITH, ["array['S1']", "50"], "reservation_lapsing"),
        (reservations._LOCK_LAPSED, ["array['rsv_1']"], "reservation_lapsing"),
        (reservations._ADVANCE, ["array['rsv_1']", "array[1]", "'expired'"], "reservation_pkey"),
    ):
        found = await plan(runtime, sql, *values)
        assert index in found, found
        assert "Seq Scan on reservation" not in found, found


async def test_what_is_available_is_found_by_sku(runtime: Connection) -> None:
    assert "stock_level_by_sku" in await plan(runtime, queries._AVAILABLE, "array['S1']")
