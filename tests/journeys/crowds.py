"""A shop that has been in business for long: two hundred thousand rows in each table that a list of the API walks.

Rows have the ids that `at` tells, the oldest first. What filters look for is there twice: as most of the rows, and as a few that are
older than all others, so that a plan that walks and filters reads everything before it finds them.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

import asyncpg

ROWS: Final = 200_000
RARE: Final = 30
"""So many of the oldest rows are of the rare kind."""


def at(prefix: str, row: int) -> str:
    return f"{prefix}_{row:032x}"


ADMIN: Final = at("usr", 3)


IDENTITY: Final = """
insert into account (id, email, name, locale, password_hash, roles)
select at('usr', n), 'u' || n || '@example.org', 'Ada', 'en', '', case when n = 3 then '{admin}'::text[] else '{customer}' end from rows
"""
# Half of the categories are roots, the others have a parent for each ten, and a hundredth has the first one. Below the second are ten
# with a few products, which are old; the other products are in the third and in the ten below it.
CATALOG: Final = """
insert into category (id, name, slug, parent_id)
select at('cat', n), 'Category ' || n, 'c' || n,
    case when n between 11 and 20 then at('cat', 2) when n between 21 and 30 then at('cat', 3)
        when n % 100 = 99 then at('cat', 1) when n > 100000 then at('cat', n / 10) end
from rows;
insert into product (id, title, slug, description, status, attributes, category_id, published_at, created_at, updated_at, version)
select at('prd', n), 'Stool ' || md5(n::text), 's' || n, case when n <= rare or n % 2 = 0 then 'relic' else 'oak' end,
    case when n <= rare and n % 3 = 1 then 'draft' when n > rare and n % 2 = 0 then 'archived' else 'published' end, '{}',
    at('cat', case when n <= rare then 11 + n % 10 when n % 11 = 0 then 3 else 20 + n % 11 end),
    now(), timestamptz '2026-01-01Z' + n * interval '1 second', now(), 1
from rows;
insert into variant (id, product_id, sku, title, options, position)
select at('var', n), at('prd', n), 's' || n, '', '{}', 0 from rows where n % 20 = 0;
insert into price (variant_id, currency, list_amount, sale_minimum) select at('var', n), 'USD', 1000, 1 from rows where n % 20 = 0
"""
# One SKU lies in half of the locations, and in one location lies every SKU.
INVENTORY: Final = """
delete from stock_location;
insert into stock_location (id, name, is_default) select at('loc', n), 'Location ' || n, n = 1 from rows;
insert into stock_level (location_id, sku, on_hand) select at('loc', 1), 'S' || lpad(n::text, 8, '0'), 9 from rows where n % 2 = 0;
insert into stock_level (location_id, sku, on_hand) select at('loc', n), 'EVERYWHERE', 9 from rows where n % 2 = 0;
insert into stock_movement (id, kind, sku, quantity, location_id, reason, actor)
select at('mov', n), 'received', case when n <= rare then 'RARE' else 'S' || lpad((n % 9)::text, 8, '0') end, 1, at('loc', 1), '', ''
from rows
"""
PAYMENTS: Final = """
insert into payment_intent (id, reference, amount, currency, status)
select at('pay', n), case when n <= rare then 'rare' else 'common' end, 9, 'USD', 'created' from rows;
insert into attempt (id, intent_id, operation, amount, currency, status, reason, claimed_until)
select at('att', n), at('pay', case when n <= rare then 1 when n % 20 = 0 then 2 else n end), o.operation, 9, 'USD', 'succeeded',
    case when o.operation = 'refund' then 'no' end, now()
from rows, lateral (select case when n <= rare or n % 20 = 0 then 'refund' else 'capture' end as operation) o;
insert into ledger_transaction (id, source, source_id, kind) select at('ltx', n), 'attempt', at('att', n), 'captured' from rows;
insert into ledger_posting (transaction_id, account, currency, debit, credit, created_at)
select at('ltx', n), 'customer_payments', 'USD', 0, 9, now() - interval '1 year' from rows;
insert into ledger_balance select account, currency, sum(debit), sum(credit) from ledger_posting group by account, currency;
update ledger_closing set through = now() - interval '1 day'
"""
ORDERS: Final = """
insert into customer_order (id, number, cart_id, user_id, shipping_address, currency, rounding, total, status, payment_status,
    fulfilment_status, intent_id, attempt, version, placed_at)
select at('ord', n), n, at('crt', n), at('usr', case when n <= rare * 2 then 1 when n % 2 = 0 then 2 else n end), '{}', 'USD', '', 9,
    case when n > rare * 2 then 'placed' when n % 5 = 0 then 'draft' when n % 2 = 0 then 'completed' else 'cancelled' end,
    'paid', 'unfulfilled', at('pay', n), 1, 1, now()
from rows;
insert into order_entry (id, order_id, kind, facts) overriding system value
select n, at('ord', case when n % 2 = 0 then 1000 else n end), 'captured', '{}' from rows
"""
NOTIFICATIONS: Final = """
insert into notification (id, event_id, template, recipient, about, locale, status, ended_at)
select at('ntf', n), at('evt', n), 'order_confirmed', at('usr', n), at('ord', case when n <= rare then 1 else 2 end), 'en', 'sent', now()
from rows
"""
CROWDS: Final = {
    "identity": IDENTITY,
    "catalog": CATALOG,
    "inventory": INVENTORY,
    "payments": PAYMENTS,
    "orders": ORDERS,
    "notifications": NOTIFICATIONS,
}
TOOLS: Final = f"""
create function pg_temp.at(prefix text, n bigint) returns text immutable language sql
    return prefix || '_' || lpad(to_hex(n), 32, '0');
create temporary view rows as select n, {RARE} as rare from generate_series(1, {ROWS}) n
"""


async def fill(admin_dsn: str) -> None:
    """As the superuser, module by module at the same time. The modules' own checks are off: they have tests of their own."""
    await asyncio.gather(*(_fill(admin_dsn, module, sql) for module, sql in CROWDS.items()))


async def _fill(admin_dsn: str, module: str, sql: str) -> None:
    settings = {"search_path": f"{module}, pg_temp", "session_replication_role": "replica", "maintenance_work_mem": "128MB"}
    admin = await asyncpg.connect(admin_dsn, server_settings=settings)
    try:
        await admin.execute(TOOLS)
        indexes = await _take_indexes(admin, module)
        tables = re.findall(r"insert into (\w+)", sql)
        await admin.execute(sql.replace("at('", "pg_temp.at('"))
        for index in indexes:
            await admin.execute(index)
        await admin.execute(f"analyze {', '.join(tables)}")
    finally:
        await admin.close()


async def _take_indexes(admin: asyncpg.Connection, module: str) -> Sequence[str]:
    """Those that no constraint needs, to be built at the end, which is faster by far; answers how."""
    rows = await admin.fetch(
        "select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as made from pg_index"
        " join pg_class c on c.oid = indrelid where relnamespace = $1::regnamespace and relkind = 'r' and not relispartition"
        " and not exists (select from pg_constraint where conindid = indexrelid)",
        module,
    )
    for row in rows:
        await admin.execute(f"drop index {row['name']}")
    return [row["made"] for row in rows]
