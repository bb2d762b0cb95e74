"""What the doctor looks at in Postgres, as the modules' own roles: log-ins, version, room for connections, clock, migrations."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import asyncpg

from entrypoints.commands.doctor.findings import Finding, error, ok, warning
from shared.domain.clock import Clock
from shared.infra.config import Settings, variable
from shared.infra.db.chains import Chain
from shared.infra.db.connections import Connect, Connection
from shared.infra.db.roles import runtime_of

OLDEST: Final = 150000
NEWEST: Final = 190000
"""Of `server_version_num`: 15 to 18 are what the tests run on."""

SKEW: Final = timedelta(seconds=1)
TOO_MUCH_SKEW: Final = timedelta(seconds=30)
MIGRATE: Final = "run `tenon db migrate` with the owner's URL"

_VERSION: Final = "select current_setting('server_version_num')::integer, current_setting('server_version')"
_ROOM: Final = """
select current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
    - coalesce(current_setting('reserved_connections', true), '0')::integer as places,
    (select datconnlimit from pg_database where datname = current_database()) as here
"""


async def logins(modules: Sequence[str], connect: Connect) -> tuple[list[str], list[Finding]]:
    """The modules whose role can log in, and what was found. A server that does not answer is asked once."""
    able: list[str] = []
    findings: list[Finding] = []
    for module in modules:
        role = runtime_of(module)
        try:
            await (await connect(role)).close()
        except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
            fix = f"{MIGRATE} and the same {variable('db_secret')}: the role's password derives from it"
            findings.append(error("roles", f"{role} cannot log in: its password is refused, or there is no such role", fix))
        except asyncpg.InvalidCatalogNameError as failed:
            return [], [error("postgres", str(failed), f"create the database, or correct {variable('database_url')}")]
        except asyncpg.InsufficientPrivilegeError as failed:
            findings.append(error("roles", f"{role} may not enter the database: {failed}", MIGRATE))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as failed:
            return [], [error("postgres", f"Postgres cannot be reached: {failed}", f"start it, or correct {variable('database_url')}")]
        else:
            able.append(module)
    if len(able) == len(modules):
        findings.append(ok("roles", f"{len(able)} roles log in, each with its own password"))
    return able, findings


async def server(connection: Connection, settings: Settings, clock: Clock, processes: int) -> list[Finding]:
    """What is the same for all modules."""
    return [await version(connection), await room(connection, settings.db_connections, processes), await skew(connection, clock)]


async def version(connection: Connection) -> Finding:
    ((number, text),) = await connection.fetch(_VERSION)
    if number < OLDEST:
        return error("postgres", f"this is Postgres {text}", "use Postgres 15 to 18")
    if number >= NEWEST:
        return warning("postgres", f"Postgres {text} is newer than what Tenon was tested on", "use Postgres 15 to 18")
    return ok("postgres", f"Postgres {text}")


async def room(connection: Connection, each: int, processes: int) -> Finding:
    """Every process may come to have all of its connections at the same time."""
    ((places, here),) = await connection.fetch(_ROOM)
    places = min(places, here) if here >= 0 else places
    wanted = each * processes
    says = f"{processes} processes of {each} connections are {wanted}; the database takes {places}"
    fix = f"lower {variable('db_connections')}, raise max_connections (or the database's limit), or run fewer processes"
    if wanted > places:
        return error("connections", says, fix)
    if wanted > places * 0.8:
        return warning("connections", f"{says}: little is left for operators and migrations", fix)
    return ok("connections", says)


async def skew(connection: Connection, clock: Clock) -> Finding:
    """The database's clock against this one's, uncertain by the time that asking took."""
    before = clock.now()
    there = await connection.fetchval("select clock_timestamp()")
    after = clock.now()
    apart = abs(there - (before + (after - before) / 2))
    certain = max(apart - (after - before) / 2, timedelta())
    says = f"this clock and the database's are {apart.total_seconds():.3f} s apart"
    if certain > SKEW:
        fix = "let NTP set the clocks of both: tokens expire by this one, holds and claims by the database's"
        return (error if certain > TOO_MUCH_SKEW else warning)("clock", says, fix)
    return ok("clock", says)


async def migrations(modules: Sequence[str], connect: Connect) -> list[Finding]:
    """As each module's role, which may read the version of its schema."""
    findings = []
    for module in modules:
        connection = await connect(runtime_of(module))
        try:
            pending = Chain(module).pending(await connection.fetchval("select version_num from alembic_version"))
        except asyncpg.UndefinedTableError:
            pending = Chain(module).pending(None)
        finally:
            await connection.close()
        if pending:
            findings.append(error("migrations", f"{module} lacks {', '.join(pending)}", MIGRATE))
    return findings or [ok("migrations", "no migration is pending")]
