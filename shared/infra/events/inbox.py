"""Forgetting which messages were taken in: what could not be repeated any more need not be recognised."""

from datetime import timedelta
from typing import Final

from shared.infra.db.database import Database

KEEP: Final = timedelta(days=40)
"""Longer than the logs, out of which a replay could send a message again."""

# inbox_received
_PURGE: Final = """
with gone as (
    delete from inbox where ctid = any(array(select ctid from inbox where received_at < now() - $2::interval order by received_at limit $1))
    returning 1
) select count(*) from gone
"""


async def purge(database: Database, most: int = 500) -> int:
    """Remove at most `most` old messages; answers how many. Call it until it answers fewer."""
    return int(await database.fetchval(_PURGE, most, KEEP))
