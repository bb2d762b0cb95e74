"""Forgetting which messages were taken in: what could not be repeated any more need not be recognised."""

from datetime import timedelta
from typing import Final

from shared.infra.db.retention import Retention

KEEP: Final = timedelta(days=40)
"""Longer than the logs, out of which a replay could send a message again."""

# inbox_received
_FORGET: Final = """
with gone as (
    delete from inbox where ctid = any(array(select ctid from inbox where received_at < now() - $2::interval order by received_at limit $1))
    returning 1
) select count(*) from gone
"""

INBOX: Final = Retention("inbox", KEEP, _FORGET)
