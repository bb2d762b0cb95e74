"""Rules of the house that no linter can say: each looks at one file and answers with what breaks it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.architecture.begun import PLACES, begun

FILE_LINES: Final = 400
FUNCTION_LINES: Final = 50
CONTAINER_LINES: Final = 80

SQL_METHODS: Final = {"execute", "executemany", "fetch", "fetchrow", "fetchval", "views", "text"}
TRANSACTIONS: Final = re.compile(r"\s*(begin|commit|rollback|start\s+transaction|end)\b(?!\s+atomic)", re.IGNORECASE)
DATABASE: Final = ("shared", "infra", "db")
SESSION: Final = re.compile(r"(^|[._])session$")
IDENTIFIERS: Final = "# identifiers only: "
EXEMPTION: Final = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:\s*no cover)")
REASONED: Final = re.compile(
    r"#\s*(?:noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|type: ignore\[[a-z-]+(?:, ?[a-z-]+)*\]|pragma: no cover)\s+[-#\u2013]\s*\S.{7,}"
)
EMPTY_NAMES: Final = re.compile(r"^(?:Abstract|Base)[A-Z]|^I[A-Z][a-z]|(?:Impl|Manager|Helper|Utils?)$")
EMPTY_FILES: Final = {"utils", "util", "helpers", "helper", "manager", "managers", "core", "common", "misc", "base"}


def broken(path: Path, source: str) -> list[str]:
    """Every rule that the file at `path` (relative to the root) breaks, as `path:line: what`."""
    tree = ast.parse(source)
    checks = [_sizes(path, source, tree), _docstring(path, source, tree), _names(path, tree), _exemptions(source)]
    if path.parts[0] == "tests":
        checks.append(_tests(path, source, tree))
    else:
        checks += [_tasks(path, tree), _transactions(path, tree)]
    if path.parts[0] != "tests" and path.parts[:3] != DATABASE:
        checks.append(_formatted_sql(source, tree))
    return [f"{path}:{line}: {what}" for check in checks for line, what in check]


def _sizes(path: Path, source: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    cap = CONTAINER_LINES if path.name == "container.py" else FILE_LINES
    if (lines := len(source.splitlines())) > cap:
        yield 1, f"{lines} lines, {cap} are allowed: split it by topic"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None and path.parts[0] != "migrations":
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {length} lines, {FUNCTION_LINES} are allowed"


def _docstring(path: Path, source: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if source.strip() and ast.get_docstring(tree) is None:
        yield 1, "a file begins with one sentence on its purpose"
    if "Args:\n" in source and path.name != "rules.py":
        yield 1, "arguments are not narrated: what a name cannot say belongs into a sentence"


def _names(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if path.stem in EMPTY_FILES:
        yield 1, f"{path.name} says nothing: name it for its topic"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and EMPTY_NAMES.search(node.name):
            yield node.lineno, f"{node.name} is named for its place in a pattern: name it for what it does"


def _exemptions(source: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(source.splitlines(), 1):
        if EXEMPTION.search(line) and not REASONED.search(line):
            yield number, "an exemption names its code and its reason on its own line"


def _tasks(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for line, place in begun(tree):
        if f"{path}::{place}" not in PLACES:
            yield (
                line,
                "work that nobody waits for is supervised: make it a Loop, or say in tests/architecture/begun.py who sees its end",
            )


def _transactions(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    owner = path.parts[:3] == DATABASE
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        on_session = SESSION.search(ast.unparse(node.func.value)) is not None
        if node.func.attr in {"transaction", "begin_nested"} or (on_session and node.func.attr in {"begin", "commit", "rollback"}):
            yield node.lineno, "BEGIN, COMMIT and ROLLBACK belong to transact: a cancelled Transaction.start() loses the next commit"
        first = node.args[0] if node.args else None
        if not owner and node.func.attr in SQL_METHODS and isinstance(first, ast.Constant) and TRANSACTIONS.match(str(first.value)):
            yield node.lineno, "BEGIN, COMMIT and ROLLBACK belong to transact"


def _formatted_sql(source: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """A line that formats a name of our own into a statement says so: `# identifiers only: …`."""
    lines = source.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SQL_METHODS and node.args:
            statement = node.args[0]
            if IDENTIFIERS in lines[statement.lineno - 1]:
                continue
            formatted = isinstance(statement, ast.JoinedStr) or (isinstance(statement, ast.BinOp) and isinstance(statement.op, ast.Mod))
            if formatted or (
                isinstance(statement, ast.Call) and isinstance(statement.func, ast.Attribute) and statement.func.attr == "format"
            ):
                yield node.lineno, "a statement is not formatted where it is sent: pass values as parameters, name built statements"


def _tests(path: Path, source: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    lines = source.splitlines()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        pause = called == "asyncio.sleep" and path.name.startswith("test_") and ast.unparse(node.args[0]) not in {"0", "0.0"}
        if called in {"time.sleep", "sleep"} or (pause and "# " not in lines[node.lineno - 1]):
            yield node.lineno, "a test does not sleep to wait; where a pause is part of the story, its line says why"
        if called in {"pytest.skip", "pytest.xfail", "pytest.mark.skip", "pytest.mark.xfail"}:
            yield node.lineno, "a test runs everywhere: there is always a server"
