"""Forgetting what has lost its meaning: expired links, ended sessions, old attempts."""

from datetime import timedelta

from shared.infra.db.database import Database
from shared.infra.tasks.kind import Cron, Nothing, TaskKind

CHUNK = 500

_LINKS = """
delete from mailed_link where token_hash in (
    select token_hash from mailed_link where expires_at < now() - interval '7 days' order by expires_at limit $1 for update skip locked
) returning 1
"""

_TOKENS = """
delete from refresh_token where token_hash in (
    select t.token_hash from session s join refresh_token t on t.session_id = s.id
    where s.expires_at < now() - interval '7 days' order by s.expires_at limit $1 for update of t skip locked
) returning 1
"""

_SESSIONS = """
delete from session where id in (
    select s.id from session s
    where s.expires_at < now() - interval '7 days' and not exists (select from refresh_token t where t.session_id = s.id)
    order by s.expires_at limit $1 for update skip locked
) returning 1
"""

_ATTEMPTS = """
delete from attempt where subject in (
    select subject from attempt where free_at < now() - interval '1 day' order by free_at limit $1 for update skip locked
) returning 1
"""


class Sweeper:
    """Deletes in small chunks, each its own transaction; what ended a week ago may still be asked about until then."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sweep(self, _: Nothing, key: str) -> None:
        for statement in (_LINKS, _TOKENS, _SESSIONS, _ATTEMPTS):
            while len(await self._database.fetch(statement, CHUNK)) == CHUNK:
                pass


def sweeping(database: Database) -> TaskKind[Nothing]:
    return TaskKind("identity.sweep", Nothing, Sweeper(database).sweep)


def hourly(kind: TaskKind[Nothing]) -> Cron:
    return Cron(kind, timedelta(hours=1))
