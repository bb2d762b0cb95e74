"""The card of each module, read from its docstring, and the map of all modules that is made of them."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from entrypoints.development.home import ROOT

LINES: Final = ("Owns", "Publishes", "Listens", "Calls")
NOTHING: Final = ("nothing", "\u2013")
BEGIN: Final = "<!-- modules: written by `make docs` -->"
END: Final = "<!-- end of modules -->"


class NoCard(ValueError):
    """A module's docstring lacks a part of its card."""


@dataclass(frozen=True, slots=True)
class Card:
    """`purpose` is one sentence; the others are what stands behind their word on the card."""

    module: str
    purpose: str
    owns: str
    publishes: tuple[str, ...]
    listens: tuple[str, ...]
    calls: tuple[str, ...]


def card(module: str, docstring: str) -> Card:
    """Raises NoCard. A part may go on in lines that are indented."""
    purpose, _, rest = docstring.strip().partition("\n")
    parts = dict(re.findall(r"^(\w+): (.*(?:\n[ \t]+.*)*)", rest, flags=re.MULTILINE))
    if missing := [line for line in LINES if line not in parts]:
        raise NoCard(f"modules/{module}/__init__.py: the docstring lacks {', '.join(missing)}")
    owns, *lists = (" ".join(parts[line].split()) for line in LINES)
    return Card(module, purpose, owns.rstrip("."), *(_items(text) for text in lists))


def names(root: Path = ROOT) -> list[str]:
    """Of all modules."""
    return [file.parent.name for file in _files(root)]


def cards(root: Path = ROOT) -> list[Card]:
    return [card(file.parent.name, ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "") for file in _files(root)]


def module_map(all_cards: list[Card]) -> str:
    """A Markdown table between its markers."""
    rows = [
        f"| [{c.module}](modules/{c.module}/__init__.py) | {c.purpose} | {c.owns} | {_joined(c.listens)} | {_joined(c.calls)} |"
        for c in all_cards
    ]
    return "\n".join([BEGIN, "| module | what it is | owns | listens to | calls |", "|---|---|---|---|---|", *rows, END])


def with_map(readme: str, all_cards: list[Card]) -> str:
    """`readme` with the map between its markers renewed."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + module_map(all_cards) + after


def _files(root: Path) -> list[Path]:
    return sorted((root / "modules").glob("*/__init__.py"))


def _items(text: str) -> tuple[str, ...]:
    bare = text.strip().rstrip(".")
    return () if bare in NOTHING else tuple(item.strip() for item in bare.split(","))


def _joined(items: tuple[str, ...]) -> str:
    return ", ".join(items) or NOTHING[1]
