"""The command line: `tenon --help`."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from entrypoints import demo, dev, docs, schemas, seed
from entrypoints.cards import cards
from entrypoints.container import Root, compose
from entrypoints.doctor.command import doctor
from entrypoints.home import DEFAULT, Home
from entrypoints.operate import events, tasks
from entrypoints.operate_sagas import sagas
from entrypoints.scaffold.command import new_module
from entrypoints.serving import listening, serve_on
from entrypoints.tables import COMMANDS
from entrypoints.worker import work
from shared.infra import config, config_reference

PORT = click.option("--port", type=click.IntRange(1, 65535), help="Instead of the setting's.")
HOME = click.option("--home", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT, help="Where `make run` keeps its data.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def tenon(context: click.Context) -> None:
    """Tenon, a commerce backend. Settings come from TENON_* variables; beside `make run`, from the system that it serves."""
    context.obj = root


def environment() -> Mapping[str, str]:
    """The variables of this process; where they name no database, those of the development system that is running here."""
    own = config.process_environment()
    return own if "TENON_DATABASE_URL" in own else {**(Home().running() or {}), **own}


def root() -> Root:
    return compose(config.load(environment()))


def owners_root() -> Root:
    """For the commands that the owner's URL is for. All others refuse to know it in production."""
    return compose(config.load({name: value for name, value in environment().items() if name != config.MIGRATION_URL}))


@tenon.command()
@PORT
@click.option("--with-worker", is_flag=True, help="Run the worker's loops in this process, too.")
def serve(port: int | None, with_worker: bool) -> None:
    """Serve the API."""
    settings = config.load(environment())
    with listening(settings.host, port or settings.port) as listener:
        serve_on(listener, settings, with_worker=with_worker)


@tenon.command()
def worker() -> None:
    """Deliver events, do tasks, go on with sagas. Any number of them may run."""
    asyncio.run(work(root()))


@tenon.command("dev")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@HOME
@click.option("--with-parent", is_flag=True, help="End when the process that started this one ends.")
def develop(port: int, home: Path, with_parent: bool) -> None:
    """Serve everything on this machine, with servers and demo data of its own."""
    dev.develop(Home(home), port, config.process_environment(), with_parent=with_parent)


@tenon.command("demo")
@HOME
def play(home: Path) -> None:
    """Buy something over HTTP and tell the story, on the running system or on one of its own."""
    sys.exit(demo.main(Home(home)))


@tenon.command("seed")
def put_demo_data() -> None:
    """Put the demo data into the database, once."""
    composed = owners_root()
    done = asyncio.run(seed.once(_owner_url(), composed))
    click.echo("The demo data is there." if done else "It was there before.")


@tenon.group()
def db() -> None:
    """The database: migrate it, see its state."""


@db.command()
def migrate() -> None:
    """Bring every module's schema up to date. Safe to repeat, and to run several times at once."""
    composed = owners_root()
    applied = asyncio.run(schemas.migrate(_owner_url(), composed.settings(), composed.modules()))
    click.echo("\n".join(f"applied {migration}" for migration in applied) or "Nothing to do.")


@db.command()
def status() -> None:
    """The migrations that each module's schema lacks; exits 1 when there are any."""
    lacking = asyncio.run(schemas.pending(_owner_url(), owners_root().modules()))
    table = Table("module", "lacks")
    for module, revisions in lacking.items():
        table.add_row(module, ", ".join(revisions) or "nothing")
    Console().print(table)
    sys.exit(any(lacking.values()))


@db.command()
@click.argument("module")
@click.option("--to", default="base", show_default=True, help="The last migration that stays.")
@click.confirmation_option(prompt="This destroys the data of the migrations that are undone. Go on?")
def down(module: str, to: str) -> None:
    """Undo the migrations of MODULE, with the data that they hold."""
    asyncio.run(schemas.downgrade(_owner_url(), module, to))


@db.command()
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), required=True)
def sql(into: Path) -> None:
    """Write the SQL of the migrations, a file for each module, without a database."""
    schemas.write_sql(into, [card.module for card in cards()])


@tenon.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    click.echo(msgspec.json.format(docs.openapi(), indent=2))


@tenon.command("docs")
def write_docs() -> None:
    """Write what is generated: the module map, the settings' reference, `.env.example`, the catalogue of events."""
    for path in docs.write():
        click.echo(f"wrote {path}")


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
    """The modules: what each is for, what it owns, says, hears and calls."""
    table = Table("module", "what it is", "publishes", "listens to", "calls", show_lines=True)
    for card in cards():
        lists = ("\n".join(items) for items in (card.publishes, card.listens, card.calls))
        table.add_row(card.module, card.purpose, *lists)
    Console().print(table)


tenon.add_command(events)
tenon.add_command(tasks)
tenon.add_command(sagas)
tenon.add_command(doctor)
tenon.add_command(new_module)
for command in COMMANDS:
    tenon.add_command(command)


def _owner_url() -> str:
    environ: Mapping[str, Any] = environment()
    return config.migration_url(environ)


def main() -> None:
    try:
        tenon(prog_name="tenon")
    except config.ConfigurationError as error:
        click.echo("Tenon cannot start:\n" + "\n".join(f"  - {fault}" for fault in error.faults), err=True)
        sys.exit(config.EXIT_CONFIGURATION)
