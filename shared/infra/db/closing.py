"""The last statement of a transaction: everything that it only adds, and the move of its saga, sent together."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from shared.infra.db.statements import Row

ROOM: Final = 32_000
"""Parameters of one statement. Postgres takes 32,767; the rest is for a swap."""

XID: Final = "pg_current_xact_id()::text as xid"

_PARAMETER: Final = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Addition:
    """One INSERT without RETURNING, its parameters counted from $1."""

    sql: str
    arguments: Sequence[object]


@dataclass(slots=True)
class Swap:
    """A compare-and-swap: `parts` are the common table expressions that carry it out, `answer` selects its one row from them, the
    column XID included. No row means that it found something else, and raises `otherwise`.
    """

    parts: str
    answer: str
    arguments: Sequence[object]
    otherwise: Exception
    _row: Row | None = None

    @property
    def alone(self) -> str:
        """As a statement of its own."""
        return f"with {self.parts} {self.answer}"

    @property
    def row(self) -> Row:
        """The answer, once it was carried out."""
        if self._row is None:
            raise self.otherwise
        return self._row

    def hear(self, row: Row | None) -> Row:
        self._row = row
        return self.row


Statement = tuple[str, Sequence[object]]


def closings(additions: Sequence[Addition], swap: Swap | None = None) -> Iterator[Statement]:
    """One statement that answers the column `xid`, or none; several where they have too many parameters for one."""
    together: list[Addition] = []
    parameters = 0
    for addition in additions:
        parameters += len(addition.arguments)
        if together and parameters > ROOM:
            yield _joined(together, None)
            together, parameters = [], len(addition.arguments)
        together.append(addition)
    if together or swap:
        yield _joined(together, swap)


def _joined(additions: Sequence[Addition], swap: Swap | None) -> Statement:
    inserts = tuple(addition.sql for addition in additions)
    arguments = [argument for addition in additions for argument in addition.arguments]
    if swap is None:
        return _text(inserts, "", f"select {XID}"), arguments
    return _text(inserts, swap.parts, swap.answer), [*swap.arguments, *arguments]


@lru_cache(maxsize=512)
def _text(inserts: Sequence[str], parts: str, answer: str) -> str:
    """`parts` and `answer` keep the numbers of their parameters, each INSERT counts on from the one before."""
    expressions, used = [parts] if parts else [], _parameters(parts)
    for at, insert in enumerate(inserts):
        expressions.append(f"added_{at} as ({_counted_from(used, insert)})")
        used += _parameters(insert)
    return f"with {', '.join(expressions)} {answer}"


def _parameters(sql: str) -> int:
    return max((int(number) for number in _PARAMETER.findall(sql)), default=0)


def _counted_from(used: int, sql: str) -> str:
    return _PARAMETER.sub(lambda place: f"${int(place[1]) + used}", sql)
