"""How long ended sagas are kept, with their steps."""

from datetime import timedelta
from typing import Final

from shared.infra.db.retention import Retention

KEEP: Final = timedelta(days=35)
"""Longer than any Idempotency-Key whose repeat is answered from a saga's outcome: those are kept for 30 days at most."""

# saga_pk: ids are in the order of time, and what ended before a time was begun before it.
_FORGET: Final = """
with old as (
    select id from saga
    where id < 'sag_' || lpad(to_hex((extract(epoch from now() - $2::interval) * 1000)::bigint), 12, '0')
        and ended_at < now() - $2::interval
    order by id limit $1 for update skip locked
), steps as (
    delete from saga_step where saga_id = any(array(select id from old))
), gone as (
    delete from saga where id = any(array(select id from old)) returning 1
) select count(*) from gone
"""

SAGAS: Final = Retention("ended sagas", KEEP, _FORGET)
