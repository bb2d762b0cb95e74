"""Adding to a module's task table."""

from collections.abc import Sequence
from typing import Final

import msgspec

from shared.domain.ids import new_id
from shared.infra.events.log import headers

DEFAULT_PRIORITY: Final = 5

TaskRow = tuple[str, str, str, str | None, int, str, str, float]

_COLUMNS: Final = "id, kind, key, unique_key, priority, payload, headers, due_at"
_CASTS: Final = ("text", "text", "text", "text", "smallint", "jsonb", "jsonb")
_WIDTH: Final = len(_CASTS) + 1


def row(
    kind: str, payload: object, *, unique: str | None = None, delay_s: float = 0.0, key: str = "", priority: int = DEFAULT_PRIORITY
) -> TaskRow:
    """A task with the context as it is now. `priority` is 0 to 9, the greatest first."""
    return new_id("tsk"), kind, key, unique, priority, msgspec.json.encode(payload).decode(), headers(), delay_s


def insert(rows: Sequence[TaskRow]) -> tuple[str, list[object]]:
    """One INSERT and its parameters. A task whose unique value is held by one that has not ended is left out."""
    values = ", ".join(_places(_WIDTH * at + 1) for at in range(len(rows)))
    sql = f"insert into task ({_COLUMNS}) values {values} on conflict do nothing"  # noqa: S608 - only places of parameters are formatted
    return sql, [value for row in rows for value in row]


def _places(first: int) -> str:
    places = ", ".join(f"${first + at}::{cast}" for at, cast in enumerate(_CASTS))
    return f"({places}, clock_timestamp() + make_interval(secs => ${first + _WIDTH - 1}))"
