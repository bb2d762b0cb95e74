"""What commands print for people who also pipe it: rows under aligned headings, never cut off and never wrapped."""

from collections.abc import Iterable, Sequence

import click


def show(headings: Sequence[str], rows: Iterable[Sequence[str]], *, none: str = "There is none.") -> None:
    """`none` is said instead of an empty table."""
    lines = [headings, *rows]
    if len(lines) == 1:
        click.echo(none)
        return
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        click.secho(text, bold=number == 0)
