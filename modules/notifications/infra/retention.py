"""How long it is known who was told what."""

from datetime import timedelta
from typing import Final

from shared.infra.db.retention import Retention

KEEP: Final = timedelta(days=90)
"""A quarter of answers to "did you get our mail?", and longer than an event can be replayed, which would tell it again."""

# notification_pk: ids are in the order of time, and what ended before a time was begun before it.
_ENDED: Final = """
with gone as (
    delete from notification where id = any(array(
        select id from notification
        where id < 'ntf_' || lpad(to_hex((extract(epoch from now() - $2::interval) * 1000)::bigint), 12, '0')
            and ended_at < now() - $2::interval
        order by id limit $1 for update skip locked))
    returning 1
) select count(*) from gone
"""

RETENTIONS: Final = (Retention("ended notifications", KEEP, _ENDED),)
