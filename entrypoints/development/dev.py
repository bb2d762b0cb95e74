"""`make run`: a whole Tenon on this machine, with servers and demo data of its own, ended by Ctrl-C."""

import contextlib
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Final
from urllib.parse import urlsplit

import click
from rich.console import Console

from entrypoints.commands.schemas import done, migrate
from entrypoints.container import compose
from entrypoints.development import seed
from entrypoints.development.children import end_with_parent
from entrypoints.development.embedded import EmbeddedPostgres, EmbeddedValkey
from entrypoints.development.home import Home, Secrets, Taken
from entrypoints.serving import listening, serve_on
from shared.infra.config import MIGRATION_URL, Settings, load

DATABASE: Final = "TENON_DATABASE_URL"
REDIS: Final = "TENON_REDIS_URL"
HOST: Final = "127.0.0.1"


def develop(home: Home, port: int, environ: Mapping[str, str], *, with_parent: bool) -> None:
    """Serve until a signal ends it; then everything that it started has ended."""
    if with_parent:
        end_with_parent()
    for number in (signal.SIGTERM, signal.SIGHUP):  # a terminal that is closed hangs up
        signal.signal(number, _leave)  # so that an early one unwinds, too
    with listening(HOST, port) as listener, _locked(home), _servers(home, environ) as servers:
        environment = {**_defaults(home, home.secrets(), port), **servers, **_own(environ)}
        settings = load(environment)
        done(_prepare(settings), DATABASE)

        def serving() -> None:
            home.announce({MIGRATION_URL: settings.database_url, **environment})
            _greet(settings, home)

        serve_on(listener, settings, with_worker=True, serving=serving)


def clean(home: Home) -> None:
    """Remove everything, unless it is being served."""
    if home.path.exists():
        with _locked(home):
            shutil.rmtree(home.path)


@contextlib.contextmanager
def _locked(home: Home) -> Iterator[None]:
    try:
        with home.locked():
            yield
    except Taken as taken:
        there = (home.running() or {}).get("TENON_PUBLIC_URL", "it is just starting")
        raise click.ClickException(f"process {taken.pid} already serves {home.path} ({there}): stop it first") from None


@contextlib.contextmanager
def _servers(home: Home, environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The addresses of the servers that the operator does not bring."""
    secrets = home.secrets()
    own = [name for variable, name in ((DATABASE, "Postgres"), (REDIS, "Valkey")) if variable not in environ]
    if own:
        click.echo(f"Starting {' and '.join(own)} …", err=True)
    with contextlib.ExitStack() as stack:
        urls = {}
        if DATABASE not in environ:
            urls[DATABASE] = stack.enter_context(EmbeddedPostgres(home.path / "postgres", password=secrets.postgres)).url()
        if REDIS not in environ:
            urls[REDIS] = stack.enter_context(EmbeddedValkey(home.path / "valkey", password=secrets.valkey)).url()
        stack.callback(_hear_no_more)
        yield urls


def _defaults(home: Home, secrets: Secrets, port: int) -> dict[str, str]:
    return {
        "TENON_ENVIRONMENT": "development",
        "TENON_SECRET": secrets.secret,
        "TENON_DB_SECRET": secrets.db_secret,
        "TENON_PORT": str(port),
        "TENON_PUBLIC_URL": f"http://{HOST}:{port}",
        "TENON_NOTICE_SECONDS": "0",
        "TENON_MAIL_URL": (home.path / "outbox").as_uri(),
        "TENON_LOG_FORMAT": "console",
    }


def _own(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith("TENON_")}


async def _prepare(settings: Settings) -> None:
    root = compose(settings)
    await migrate(settings.database_url, settings, root.modules())
    await seed.once(settings.database_url, root)


def _greet(settings: Settings, home: Home) -> None:
    outbox = home.outbox(settings.mail_url)
    say = Console(stderr=True, highlight=False, soft_wrap=True).print
    say(f"\n[bold]Tenon[/bold] is on [cyan]{settings.public_url}[/cyan]")
    say(f"  API reference   {settings.public_url}/docs")
    say(f"  Mail            {_short(outbox) if outbox else urlsplit(settings.mail_url).hostname}")
    say(f"  Data            {_short(home.path)}, where the next run goes on")
    for login in seed.LOGINS:
        say(f"  {login.role.capitalize():<15} {login.email}   {login.password}")
    say("  Try next        [green]make demo[/green] in another terminal, or")
    say(f"                  [green]curl {settings.public_url}/v1/products[/green]")
    say("Ctrl-C ends it.\n")


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _hear_no_more() -> None:
    """Servers that are being stopped are stopped to the end, however often Ctrl-C is pressed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
