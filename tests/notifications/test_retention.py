"""Notifications that ended a quarter ago are forgotten; younger ones, and those that are still being sent, are kept."""

from modules.notifications.container import NotificationsContainer
from modules.notifications.infra.retention import KEEP
from shared.infra.db.connections import Connection
from shared.infra.db.retention import CHUNK, forget
from shared.infra.events import partitions

SENT = """
insert into notification (id, event_id, template, recipient, about, locale, status, created_at, ended_at)
select 'ntf_' || lpad(to_hex((extract(epoch from now() - make_interval(days => begun)) * 1000)::bigint), 12, '0') || lpad(n::text, 20, '0'),
    name || n, 't', 'r', 'a', 'en', case when ended is null then 'sending' else 'sent' end,
    now() - make_interval(days => begun), now() - make_interval(days => ended)
from generate_series(1, $1) n, (values ('old', 91, 91), ('late', 92, 89), ('young', 88, 88), ('open', 93, null)) kind (name, begun, ended)
where n = 1 or name = 'old'
"""


async def test_only_what_ended_a_quarter_ago_goes(notifications: NotificationsContainer, admin: Connection):
    await admin.fetch(SENT, CHUNK + 5)
    (retention,) = notifications.module().retentions
    assert await forget(notifications.database(), retention) == CHUNK + 5
    assert {row[0] for row in await admin.fetch("select event_id from notification")} == {"late1", "young1", "open1"}


def test_nobody_is_told_again_when_events_are_replayed():
    assert partitions.KEEP < KEEP
