"""What was forbidden before it began is forgotten in the end; the keys of payments never are."""

from shared.infra.db.retention import CHUNK, forget
from tests.payments.till import Till


async def test_old_keys_of_what_never_was_go_and_all_others_stay(till: Till):
    await till.authorize(key="paid")
    await till.facade.cancel("called off", "ord_1", "too late")
    await till.admin.execute(f"""
        insert into authorization_key (key, reference) select 'forbidden' || n, 'r' from generate_series(1, {CHUNK + 5}) n;
        update authorization_key set created_at = now() - interval '91 days' where key <> 'called off'
    """)
    (retention,) = till.container.module().retentions
    assert await forget(till.container.database(), retention) == CHUNK + 5
    assert {row["key"] for row in await till.admin.fetch("select key from authorization_key")} == {"paid", "called off"}


async def test_none_goes_that_a_saga_may_still_ask_for_whatever_is_asked(till: Till):
    await till.facade.cancel("called off", "ord_1", "too late")
    await till.admin.execute("update authorization_key set created_at = now() - interval '34 days'")
    assert await till.container.database().fetchval("select authorization_key_forget(10, '0 days')") == 0
