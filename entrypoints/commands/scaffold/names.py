"""What a new module and its first aggregate are called, in every form that the templates need, or why they may not be."""

import keyword
import re
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS

NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST: Final = 24
PREFIX: Final = re.compile(r"""new_id\(["']([a-z]{2,5})["']\)""")
SCHEMAS: Final = {"public", "information_schema"}
CHASSIS: Final = {
    "alembic_version", "cluster_identity", "cron", "cursor", "event", "event_partition", "idempotency_key", "inbox", "saga", "saga_step",
    "subscriber", "task",
}  # fmt: skip
"""The tables that every module's schema has already."""

WORDS: Final = {
    "api", "container", "controller", "database", "domain", "infra", "module", "recorder", "service", "shared", "slice", "transact",
    "unit", "work",
}  # fmt: skip
"""What the templates, or all modules, call something else."""


class Refused(ValueError):
    """A name cannot be used; the message says why."""


class Names(NamedTuple):
    """`prefix` begins the ids of the aggregate."""

    module: str
    thing: str
    things: str
    prefix: str

    def forms(self) -> dict[str, str]:
        """What the templates put in: `Thing` is the class of a `thing`, `words` is how people say it."""
        return {
            "module": self.module, "Module": camel(self.module), "thing": self.thing, "Thing": camel(self.thing),
            "things": self.things, "Things": camel(self.things), "words": self.thing.replace("_", " "), "prefix": self.prefix,
        }  # fmt: skip


def choose(module: str, thing: str, root: Path) -> Names:
    """Raises Refused for what is not a name, means something already, or is taken in the tree of `root`."""
    for name in (module, thing):
        if fault := next(_faults(name), None):
            raise Refused(f"{name!r} {fault}")
    if module in SCHEMAS or module.startswith("pg_"):
        raise Refused(f"{module!r} is a schema of Postgres itself")
    if thing in CHASSIS:
        raise Refused(f"{thing!r} is a table of the chassis, which every module has: choose another `thing`")
    for folder in ("modules", "migrations", "tests"):
        if (root / folder / module).exists():
            raise Refused(f"{folder}/{module} exists already")
    return Names(module, thing, plural(thing), _prefix(thing, _prefixes(root)))


def singular(name: str) -> str:
    if name.endswith("ies"):
        return f"{name[:-3]}y"
    return name[:-1] if name.endswith("s") and not name.endswith(("ss", "us", "is")) else name


def plural(name: str) -> str:
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "z", "ch", "sh")) else f"{name}s"


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _faults(name: str) -> Iterator[str]:
    if not NAME.fullmatch(name):
        yield "is not a name: use lower-case letters and digits, words joined by _"
    if not 3 <= len(name) <= LONGEST:
        yield f"has {len(name)} characters: 3 to {LONGEST} are allowed"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        yield "is a word of Python"
    if name in RESERVED_WORDS:
        yield "is a reserved word of SQL"
    if name in WORDS:
        yield "has another meaning here already"


def _prefixes(root: Path) -> Set[str]:
    sources = (path.read_text(encoding="utf-8") for package in ("modules", "shared") for path in (root / package).rglob("*.py"))
    return {prefix for source in sources for prefix in PREFIX.findall(source)}


def _prefix(thing: str, taken: Set[str]) -> str:
    """The first letters of `thing`, as many as tell it from others."""
    letters = re.sub(r"[^a-z]", "", thing)
    found = next((letters[:size] for size in (3, 4, 5) if len(letters) >= size and letters[:size] not in taken), None)
    if found is None:
        raise Refused(f"ids of {thing!r} cannot be told from others' by their first letters: choose another `thing`")
    return found
