"""What a statement costs on large tables, planned and run as the role that sends it runs it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.infra.db.connections import Connection


@dataclass(frozen=True)
class Plan:
    """A plan that was carried out."""

    root: dict[str, Any]

    def scanned(self) -> set[str]:
        """The tables that were read from their first row to their last."""
        return {node["Relation Name"] for node in self._nodes() if node["Node Type"] == "Seq Scan"}

    def read(self) -> int:
        """Rows of tables that were looked at, whether they were wanted or not."""
        return sum(round(_rows(node) * node["Actual Loops"]) for node in self._nodes() if "Relation Name" in node)

    def pages(self) -> int:
        """Of 8 KiB each, wherever they were found."""
        return int(self.root["Shared Hit Blocks"] + self.root["Shared Read Blocks"])

    def __str__(self) -> str:
        return json.dumps(self.root, indent=1)

    def _nodes(self) -> Iterator[dict[str, Any]]:
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            waiting += node.get("Plans", [])
            yield node


async def explain(connection: Connection, sql: str, arguments: Sequence[object]) -> Plan:
    """Prepared, because a plan for known values may be another one. `connection` is one of the role."""
    await connection.execute(f"prepare probe as {sql}")
    values = ", ".join(literal(argument) for argument in arguments)
    text = await connection.fetchval(f"explain (analyze, buffers, timing off, format json) execute probe{f'({values})' if values else ''}")
    await connection.execute("deallocate probe")
    return Plan(json.loads(text)[0]["Plan"])


def literal(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool() | int():
            return str(value)
        case str() | datetime():
            return f"'{str(value).replace(chr(39), chr(39) * 2)}'"
        case list() | tuple():
            return f"array[{', '.join(literal(each) for each in value)}]" if value else "'{}'"
        case _:
            raise TypeError(f"how is {value!r} written in SQL?")


def _rows(node: dict[str, Any]) -> float:
    return float(node["Actual Rows"] + sum(value for name, value in node.items() if name.startswith("Rows Removed by")))
