"""`tenon new-module`: a working module to begin with."""

import click
import msgspec

from entrypoints.commands import docs
from entrypoints.commands.scaffold import names, writing
from entrypoints.development.home import ROOT


@click.command("new-module")
@click.argument("name")
@click.option("--thing", help="Its first aggregate, such as `account`; without it, what NAME is the plural of.")
def new_module(name: str, thing: str | None) -> None:
    """Write and register the module NAME, thin and working.

    It has a table, an event, four routes, and tests of its own.
    """
    try:
        chosen = names.choose(name, thing or names.singular(name), ROOT)
        if f"/v1/{chosen.things}" in msgspec.json.decode(docs.openapi())["paths"]:
            raise names.Refused(f"/v1/{chosen.things} is served already: choose another `thing`")
        written = writing.write(chosen, ROOT)
    except names.Refused as refused:
        raise click.ClickException(str(refused)) from None
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f"\nregistered {name} in {writing.ROOT_CONTAINER}, the README's map and {writing.PAYLOADS}")
    click.echo(f"Say what it is for in modules/{name}/__init__.py, run `make docs`, then `make test ARGS=tests/{name}`.")
