"""Holds that are over for long are forgotten; what is held, allocated or over for a short time is kept."""

from modules.inventory.container import InventoryContainer
from modules.inventory.public import Line
from shared.infra.db.retention import CHUNK, forget
from tests.inventory.conftest import Store

OLD = """
with made as (
    insert into reservation (id, key, state, location_id, expires_at)
    select 'rsv_' || state || n, state || n, state, $1, now() - interval '91 days'
    from generate_series(1, $2) n, unnest(array['expired', 'released', 'deallocated', 'held', 'committed']) state
    where n = 1 or state = 'released' returning id
) insert into reservation_line (reservation_id, sku, quantity) select id, 'A', 1 from made
"""


async def test_only_what_is_over_for_a_quarter_goes(store: Store, wired: InventoryContainer) -> None:
    await store.receive(A=5)
    await store.admin.fetch(OLD, (await store.default()).id, CHUNK + 5)
    await store.reservations.reserve("young", [Line(sku="A", quantity=2)], 60)
    await store.reservations.release("young")
    (retention,) = wired.module().retentions
    assert await forget(wired.database(), retention) == CHUNK + 7
    rows = await store.admin.fetch("select key, id in (select reservation_id from reservation_line) as lined from reservation")
    assert {row["key"]: row["lined"] for row in rows} == {"young": True, "held1": True, "committed1": True}
    assert await store.admin.fetchval("select count(*) from reservation_line") == 3


async def test_none_goes_that_a_saga_may_still_ask_for_whatever_is_asked(store: Store, wired: InventoryContainer) -> None:
    await store.reservations.release("last month")
    await store.admin.execute("update reservation set expires_at = now() - interval '34 days'")
    assert await wired.database().fetchval("select reservation_forget(10, '0 days')") == 0
