"""The brake on guessing, in Postgres: exact over all processes, and still there after a restart."""

from modules.identity.domain.ports import Attempts
from shared.domain.errors import TooManyAttempts
from shared.infra.db.database import Database

FREE = 5
WINDOW_S = 900
FIRST_WAIT_S = 2
LONGEST_WAIT_S = 900

_TAKE = """
insert into attempt as a (subject) values ($1)
on conflict (subject) do update set
    taken = case when clock_timestamp() > a.free_at + make_interval(secs => $3) then 1 else a.taken + 1 end,
    free_at = clock_timestamp() + make_interval(secs => case
        when clock_timestamp() > a.free_at + make_interval(secs => $3) or a.taken + 1 < $2 then 0
        else least($5, $4 * power(2, least(a.taken + 1 - $2, 30)))
    end)
where a.free_at <= clock_timestamp()
returning true
"""
"""The row's lock makes attempts on one subject wait for each other, so that the clock is read in their order."""

_WAIT = "select greatest(1, ceil(extract(epoch from free_at - clock_timestamp())))::int from attempt where subject = $1"


class SqlAttempts(Attempts):
    """`free` attempts in `window_s`, then `first_wait_s` before the next and twice as long before each further one, up to
    `longest_wait_s`."""

    def __init__(
        self,
        database: Database,
        *,
        free: int = FREE,
        window_s: float = WINDOW_S,
        first_wait_s: float = FIRST_WAIT_S,
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> None:
        self._database = database
        self._limits = (free, window_s, first_wait_s, longest_wait_s)

    async def take(self, subject: str) -> None:
        if await self._database.fetchval(_TAKE, subject, *self._limits) is None:
            seconds = await self._database.fetchval(_WAIT, subject)
            raise TooManyAttempts("too many attempts: wait before the next one", retry_after=seconds or 1)

    async def forgive(self, subject: str) -> None:
        await self._database.fetchval("delete from attempt where subject = $1", subject)
