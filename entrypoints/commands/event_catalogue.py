"""`docs/events.md`: every event, what it carries and who listens, written from the modules themselves."""

from collections.abc import Sequence
from typing import Final

from entrypoints.commands.describe import EventRow, ListenerRow, events
from shared.module import Module

HEAD: Final = """# Events

Written by `make docs` from the modules' `public.py` and `infra/subscribers.py`; a test fails when it differs.

An event is recorded if and only if its transaction commits. Every subscription receives every event that it names, those of
one key in the order of their commits. A **database** listener takes effect exactly once, in its own transaction; an **outbound**
one acts at least once, outside any transaction, with a stable id. A listener declares the fields that it reads, and nothing else
of an event can break it.
"""


def markdown(modules: Sequence[Module]) -> str:
    rows = events(modules)
    names = sorted({row.module for row in rows})
    sections = [_section(name, [row for row in rows if row.module == name]) for name in names]
    return "\n".join([HEAD, *sections])


def _section(module: str, rows: list[EventRow]) -> str:
    lines = [f"| `{row.type}` v{row.version} | {row.says} | {_fields(row)} | {_listeners(row.listeners)} |" for row in rows]
    table = ["| event | what it says | fields, its key first | who listens, and what they read |", "|---|---|---|---|", *lines]
    return "\n".join([f"## {module}", "", *table, ""])


def _fields(row: EventRow) -> str:
    ordered = sorted(row.fields, key=lambda field: field.name != row.key)
    return "<br>".join(f"`{field.name}`: {field.type}".replace("|", "\\|") for field in ordered)


def _listeners(listeners: list[ListenerRow]) -> str:
    told = [f"[{each.subscription}](../modules/{each.module}) ({each.kind}): {', '.join(each.reads)}" for each in listeners]
    return "<br>".join(told) or "\u2013"
