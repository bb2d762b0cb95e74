"""The same SQL by pgbench: nothing but Postgres and libpq, prepared statements included."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import md5
from tempfile import NamedTemporaryFile
from typing import Final
from urllib.parse import unquote, urlsplit

from benchmarks.replay import Sent
from benchmarks.stage import Stage
from entrypoints.development.embedded import POSTGRES

APART: Final = 1_000_000

_PARAMETER: Final = re.compile(r"\$(\d+)")
_SPECIAL: Final = re.compile(r"[\\':]")
_RATE: Final = re.compile(r"tps = ([0-9.]+)")


@dataclass(frozen=True)
class Names:
    """What is another one in each transaction: texts of the recorded one, each with what stays of it, such as `ord_`.

    Those of `chosen` end with the number of one of `choices`, drawn by chance; the others in a way of their own each time.
    """

    kept: Mapping[str, str]
    chosen: Mapping[str, str] = field(default_factory=dict)
    choices: int = 1

    def of(self, number: int) -> dict[str, str]:
        """What they are in transaction `number`: the same that the script makes of it."""
        return {text: f"{start}{digest(f'{number}-{at}')}" for at, (text, start) in enumerate(self.kept.items())}

    def expression(self, text: str) -> str:
        """`text` as SQL, whatever is in it made anew out of the variable `number`."""
        made = {found: f"{literal(start)} || md5(:number::text || '-{at}')" for at, (found, start) in enumerate(self.kept.items())}
        made |= {found: f"{literal(start)} || :choice::text" for found, start in self.chosen.items()}
        pieces = re.split(f"({'|'.join(map(re.escape, made))})", text)
        return "(" + " || ".join(made.get(piece, literal(piece)) for piece in pieces if piece or not text) + ")"


def digest(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def literal(value: object) -> str:
    """Without a colon, which pgbench would take for a variable's."""
    match value:
        case None:
            return "null"
        case bool() | int() | float():
            return str(value)
        case str():
            return "E'" + _SPECIAL.sub(lambda special: f"\\{ord(special[0]):03o}", value) + "'"
        case datetime():
            return literal(value.isoformat())
        case list() | tuple():
            return "array[" + ", ".join(literal(each) for each in value) + "]"
    raise TypeError(f"no literal is known for {value!r}")


async def script(stage: Stage, model: Sequence[Sent], names: Names) -> str:
    """The recorded statements as pgbench sends them. Transactions are numbered on from the variable `first`, each client's apart."""
    lines = [
        "\\set turn :turn + 1",
        f"\\set number :first + :client_id * {APART} + :turn",
        f"\\set choice random(0, {names.choices - 1})",
    ]
    connection = await stage.connect(model[0].role)
    try:
        for sent in model:
            types = (await connection.prepare(sent.sql)).get_parameters() if sent.arguments else ()
            lines.append(_filled(sent.sql, [f"{_given(it, names)}::{kind.name}" for it, kind in zip(sent.arguments, types, strict=True)]))
    finally:
        await connection.close()
    return "\n".join(lines)


def _filled(sql: str, values: Sequence[str]) -> str:
    return " ".join(_PARAMETER.sub(lambda place: values[int(place[1]) - 1], sql).split()) + ";"


def _given(value: object, names: Names) -> str:
    return names.expression(value) if isinstance(value, str) else literal(value)


async def run(stage: Stage, role: str, script: str, *, clients: int, transactions: int, first: int) -> float:
    """So many transactions of each client. Answers seconds, the time to connect not counted."""
    server = urlsplit(stage.url(role))
    with NamedTemporaryFile("w", suffix=".sql", encoding="utf-8") as file:
        file.write(script)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            str(POSTGRES / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--transactions={transactions}",
            "-D", "turn=0", "-D", f"first={first}", f"--file={file.name}",
            "-h", str(server.hostname), "-p", str(server.port), "-U", role, server.path.removeprefix("/"),
            env={"PGPASSWORD": unquote(server.password or "")}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        told, errors = await process.communicate()
    found = _RATE.search(told.decode())
    if process.returncode or found is None:
        raise RuntimeError(f"pgbench: {errors.decode()[-2000:]}")
    return transactions * clients / float(found[1])
