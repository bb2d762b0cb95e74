"""Forgetting what has lost its meaning: expired links, ended sessions, old attempts."""

from datetime import timedelta
from typing import Final

from shared.infra.db.retention import Retention

WEEK: Final = timedelta(days=7)
"""What ended a week ago may still be asked about until then."""

# mailed_link_expires
_LINKS: Final = """
with gone as (
    delete from mailed_link where token_hash = any(array(
        select token_hash from mailed_link where expires_at < now() - $2::interval order by expires_at limit $1 for update skip locked
    )) returning 1
) select count(*) from gone
"""

# session_expires, then refresh_token_session for each: a join would be planned with all tokens that there are
_TOKENS: Final = """
with gone as (
    delete from refresh_token where token_hash = any(array(
        select t.token_hash from session s cross join lateral (
            select token_hash from refresh_token where session_id = s.id limit 1000 for update skip locked
        ) t
        where s.expires_at < now() - $2::interval order by s.expires_at limit $1
    )) returning 1
) select count(*) from gone
"""

# session_expires, then refresh_token_session for each
_SESSIONS: Final = """
with gone as (
    delete from session where id = any(array(
        select s.id from session s
        where s.expires_at < now() - $2::interval and (select true from refresh_token where session_id = s.id limit 1) is null
        order by s.expires_at limit $1 for update skip locked
    )) returning 1
) select count(*) from gone
"""

# attempt_free
_ATTEMPTS: Final = """
with gone as (
    delete from attempt where subject = any(array(
        select subject from attempt where free_at < now() - $2::interval order by free_at limit $1 for update skip locked
    )) returning 1
) select count(*) from gone
"""

RETENTIONS: Final = (
    Retention("mailed links", WEEK, _LINKS),
    Retention("refresh tokens", WEEK, _TOKENS),
    Retention("sessions", WEEK, _SESSIONS),
    Retention("attempts to log in", timedelta(days=1), _ATTEMPTS),
)
