"""The task table of one module: adding to it, claiming from it, and storing how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from shared.domain.ids import new_id
from shared.infra.events.log import headers

DEFAULT_PRIORITY: Final = 5
LANE_OCCUPIED: Final = "('ready', 'claimed', 'blocked', 'dead')"


@dataclass(frozen=True, slots=True)
class NewTask:
    """`delay_s` is counted by the database's clock; `priority` is 0 to 9, the greatest first."""

    kind: str
    payload: object
    unique: str | None = None
    delay_s: float = 0.0
    key: str = ""
    priority: int = DEFAULT_PRIORITY


_COLUMNS: Final = "id, kind, key, unique_key, priority, payload, headers, due_at"
_CASTS: Final = ("text", "text", "text", "text", "smallint", "jsonb", "jsonb")


def insert(tasks: Sequence[NewTask]) -> tuple[str, list[object]]:
    """The INSERT of `tasks` and its parameters. One whose unique value is taken by a task that has not ended is left out."""
    carried = msgspec.json.encode(headers()).decode()
    arguments: list[object] = []
    values = []
    for task in tasks:
        first = len(arguments) + 1
        payload = msgspec.json.encode(task.payload).decode()
        arguments += (new_id("tsk"), task.kind, task.key, task.unique, task.priority, payload, carried, task.delay_s)
        places = ", ".join(f"${first + place}::{cast}" for place, cast in enumerate(_CASTS))
        values.append(f"({places}, now() + make_interval(secs => ${first + len(_CASTS)}))")
    sql = f"insert into task ({_COLUMNS}) values {', '.join(values)} on conflict do nothing"  # noqa: S608 - only places of parameters
    return sql, arguments
