"""The command line: `tenon --help`."""

import asyncio
import shutil
import signal
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
import structlog

from entrypoints.commands import columns, docs, schemas
from entrypoints.commands.cards import cards, names
from entrypoints.commands.deliveries import events, tasks
from entrypoints.commands.doctor.command import doctor
from entrypoints.commands.ledger import ledger
from entrypoints.commands.sagas import sagas
from entrypoints.commands.scaffold.command import new_module
from entrypoints.commands.tables import COMMANDS
from entrypoints.container import Root, compose
from entrypoints.development import demo, dev, seed
from entrypoints.development.home import DEFAULT, Home
from entrypoints.serving import listening, serve_on
from entrypoints.worker import work
from shared.infra import config, config_reference

log = structlog.get_logger(__name__)

T = TypeVar("T")

PORT = click.option("--port", type=click.IntRange(1, 65535), help="Instead of the setting's.")
HOME = click.option("--home", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT, help="Where `make run` keeps its data.")
MODULES = names()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def tenon(context: click.Context) -> None:
    """Tenon, a commerce backend.

    Settings come from TENON_* variables, and where none names a database, from the system that `make run` serves here.
    """
    context.obj = root


def environment() -> Mapping[str, str]:
    """The variables of this process; where they name no database, those of the development system that is running here."""
    own = config.process_environment()
    return own if "TENON_DATABASE_URL" in own else {**(Home().running() or {}), **own}


def root() -> Root:
    return compose(config.load(environment()))


def owned() -> tuple[Root, str]:
    """The system, and the URL of the role that owns its database; raises ConfigurationError with the faults of both."""
    environ = dict(environment())
    faults: list[str] = []
    url, composed = "", None
    try:
        url = config.migration_url(environ)
    except config.ConfigurationError as error:
        faults += error.faults
    environ.pop(config.MIGRATION_URL, None)  # what serves must not know it, and is checked for that
    try:
        composed = compose(config.load(environ))
    except config.ConfigurationError as error:
        faults += error.faults
    if composed is None or faults:
        raise config.ConfigurationError(faults)
    return composed, url


def done_by_owner(work: Coroutine[Any, Any, T]) -> T:
    return schemas.done(work, config.MIGRATION_URL)


@tenon.command()
@PORT
@click.option("--with-worker", is_flag=True, help="Run the worker's loops in this process, too.")
def serve(port: int | None, with_worker: bool) -> None:
    """Serve the API."""
    settings = root().settings()
    with listening(settings.host, port or settings.port) as listener:
        address = f"{settings.host}:{port or settings.port}"
        serve_on(listener, settings, with_worker=with_worker, serving=lambda: log.info("serving", address=address))


@tenon.command()
def worker() -> None:
    """Deliver events, do tasks, go on with sagas.

    Any number of workers may run; they share what there is to do.
    """
    sys.exit(asyncio.run(work(root())))


@tenon.command("dev")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@HOME
@click.option("--with-parent", is_flag=True, help="End when the process that started this one ends.")
def develop(port: int, home: Path, with_parent: bool) -> None:
    """Serve everything here, with own servers and demo data."""
    dev.develop(Home(home), port, config.process_environment(), with_parent=with_parent)


@tenon.command()
@HOME
def clean(home: Path) -> None:
    """Remove the development system's data, to begin anew."""
    dev.clean(Home(home))


@tenon.command("demo")
@HOME
def play(home: Path) -> None:
    """Buy something over HTTP, and tell the story.

    On the system that `make run` serves here, or else on one that is there for the time of the story.
    """
    sys.exit(demo.main(Home(home)))


@tenon.command("seed")
def put_demo_data() -> None:
    """Put the demo data into the database, once."""
    composed, url = owned()
    done = done_by_owner(seed.once(url, composed))
    click.echo("The demo data is there." if done else "It was there before.")


@tenon.group()
def db() -> None:
    """The database: migrate it, see its state."""


@db.command()
def migrate() -> None:
    """Bring every module's schema up to date.

    Safe to repeat, and to run several times at once.
    """
    composed, url = owned()
    applied = done_by_owner(schemas.migrate(url, composed.settings(), composed.modules()))
    click.echo("\n".join(f"applied {migration}" for migration in applied) or "Nothing to do.")


@db.command()
def status() -> None:
    """The migrations that are lacking; exits 1 when there are any."""
    lacking = done_by_owner(schemas.pending(config.migration_url(environment()), MODULES))
    columns.show(("module", "lacks"), [(module, ", ".join(each) or "nothing") for module, each in lacking.items()], none="No modules.")
    sys.exit(any(lacking.values()))


@db.command()
@click.argument("module", type=click.Choice(MODULES), metavar="MODULE")
@click.option("--to", default="base", show_default=True, help="The last migration that stays.")
@click.confirmation_option(prompt="This destroys the data of the migrations that are undone. Go on?")
def down(module: str, to: str) -> None:
    """Undo a module's migrations, with the data that they hold."""
    done_by_owner(schemas.downgrade(config.migration_url(environment()), module, to))
    click.echo(f"{module} is back at {to}.")


@db.command()
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), required=True)
def sql(into: Path) -> None:
    """Write the SQL of the migrations, a file for each module."""
    schemas.write_sql(into, MODULES)


@tenon.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    click.echo(msgspec.json.format(docs.openapi(), indent=2))


@tenon.command("docs")
def write_docs() -> None:
    """Write what is generated: reference, catalogue, module map."""
    written = docs.write()
    click.echo("\n".join(f"wrote {path}" for path in written) or "Everything was up to date.")


@tenon.group("config")
def configuration() -> None:
    """The settings."""


@configuration.command()
def reference() -> None:
    """Print the reference of all settings."""
    click.echo(config_reference.markdown())


@configuration.command()
def example() -> None:
    """Print an example of an environment file."""
    click.echo(config_reference.env_example())


@tenon.command()
def modules() -> None:
    """What each module is for, owns, says, hears and calls."""
    width = min(shutil.get_terminal_size().columns, 120)
    for card in cards():
        click.secho(card.module, bold=True)
        click.echo(click.wrap_text(card.purpose, width, initial_indent="  ", subsequent_indent="  "))
        lists = {"owns": [card.owns], "publishes": card.publishes, "listens to": card.listens, "calls": card.calls}
        for what, items in lists.items():
            click.echo(click.wrap_text(", ".join(items) or "nothing", width, initial_indent=f"    {what:<12}", subsequent_indent=" " * 16))
        click.echo()


tenon.add_command(events)
tenon.add_command(tasks)
tenon.add_command(sagas)
tenon.add_command(ledger)
tenon.add_command(doctor)
tenon.add_command(new_module)
for command in COMMANDS:
    tenon.add_command(command)


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        tenon(prog_name="tenon")
    except config.ConfigurationError as error:
        click.echo("The settings need mending:\n" + "\n".join(f"  - {fault}" for fault in error.faults), err=True)
        if not any(name.startswith(config.PREFIX) for name in config.process_environment()):
            click.echo("Or let `make run` serve a system here, whose settings every command then takes.", err=True)
        sys.exit(config.EXIT_CONFIGURATION)
