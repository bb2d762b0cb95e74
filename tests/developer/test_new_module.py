"""`make new-module name=loyalty` in a copy of the tree: what it writes works, is tested, and breaks none of the house's rules."""

import shutil
import sys
import tokenize
from pathlib import Path
from typing import Final

import pytest

from entrypoints.commands.scaffold.names import Names
from entrypoints.commands.scaffold.writing import rendered
from tests.architecture import rules
from tests.architecture.tree import ROOT
from tests.developer.conftest import PROGRAMS, Execute
from tests.support.run import Run

MOST_LINES: Final = 300
ABOUT_MODULES: Final = [f"tests/architecture/test_{what}.py" for what in ("cards", "containers", "events", "promises")]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def written(tree: Path, execute: Execute) -> list[Path]:
    """The files of `make new-module name=loyalty`. Were an environment to be set up, `PYTHON` would not do it."""
    said = execute("make", "new-module", "name=loyalty", "PYTHON=false")
    assert said.returncode == 0, said.stdout
    assert not (ROOT / "modules" / "loyalty").exists()
    return [tree / line.removeprefix("wrote ") for line in said.stdout.splitlines() if line.startswith("wrote ")]


def lines_of_code(file: Path) -> int:
    """Lines with anything but comments and docstrings; of SQL in strings, too."""
    beside = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING}
    lines: set[int] = set()
    with file.open("rb") as opened:
        before = tokenize.NEWLINE
        for token in tokenize.tokenize(opened.readline):
            docstring = token.type == tokenize.STRING and before in {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
            if token.type not in beside and not docstring:
                lines.update(range(token.start[0], token.end[0] + 1))
            if token.type not in {tokenize.COMMENT, tokenize.NL}:
                before = token.type
    return len(lines)


def test_it_is_thin(written: list[Path]):
    """Migrations and tests included."""
    assert 100 < sum(lines_of_code(file) for file in written) <= MOST_LINES


def test_its_tests_and_the_checks_of_all_modules_pass(execute: Execute, written: list[Path], run: Run):
    servers = {"TEST_DB": "url", "TEST_DATABASE_URL": run.postgres_url, "TEST_REDIS_URL": run.valkey_url}
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/loyalty", *ABOUT_MODULES)
    said = execute(*command, environ=servers)
    assert said.returncode == 0, said.stdout


def test_it_breaks_no_contract(execute: Execute, written: list[Path]):
    said = execute(str(PROGRAMS / "lint-imports"), "--no-logo", "--no-cache")
    assert said.returncode == 0, said.stdout


def test_it_is_typed_strictly(tree: Path, execute: Execute, written: list[Path]):
    """What `make types` knows of the other files is not found out anew."""
    if (ROOT / ".mypy_cache").exists():
        shutil.copytree(ROOT / ".mypy_cache", tree / ".mypy_cache")
    said = execute(str(PROGRAMS / "mypy"), "modules/loyalty", "tests/loyalty", "entrypoints/container.py")
    assert said.returncode == 0, said.stdout


def test_it_is_clean(tree: Path, execute: Execute, written: list[Path]):
    changed = [*(str(file) for file in written), "entrypoints/container.py"]
    for arguments in (("check",), ("format", "--check")):
        said = execute(str(PROGRAMS / "ruff"), *arguments, *changed)
        assert said.returncode == 0, said.stdout
    sources = {file.relative_to(tree): file.read_text(encoding="utf-8") for file in written}
    assert [fault for path, source in sources.items() for fault in rules.broken(path, source)] == []


def test_its_sql_has_no_fault(execute: Execute, written: list[Path]):
    assert execute(sys.executable, "-m", "entrypoints", "db", "sql", "--into", "sql").returncode == 0
    said = execute(str(PROGRAMS / "squawk"), "--config", ".squawk.toml", "sql/loyalty.sql")
    assert said.returncode == 0, said.stdout


def test_what_cannot_be_made_is_refused_and_nothing_is_written(execute: Execute, written: list[Path]):
    before = execute("git", "status", "--short").stdout
    said = execute(sys.executable, "-m", "entrypoints", "new-module", "rewards", "--thing", "product")
    assert (said.returncode, "/v1/products is served already" in said.stdout) == (1, True), said.stdout
    assert execute("git", "status", "--short").stdout == before


def test_names_of_any_length_are_written_into_every_place():
    for names in (Names("tax", "tax", "taxes", "tax"), Names("gift_cards_and_vouchers", "gift_card", "gift_cards", "gif")):
        texts = dict(rendered(names))
        assert Path(f"modules/{names.module}/domain/model.py") in texts
        assert [path for path, text in texts.items() if "{{" in text or "{%" in text] == []
