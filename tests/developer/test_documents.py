"""What the documents say is so: every file, test and link that they name exists, and every command that they show works."""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

import pytest

from shared.infra.config import Settings
from tests.architecture.tree import PACKAGES, ROOT, files, parse
from tests.developer.conftest import Execute
from tests.support.application import environment_of

DOCUMENTS: Final = [path.relative_to(ROOT) for path in files() if path.suffix == ".md"]
PATTERNS: Final = (ROOT / "docs" / "patterns.md").read_text(encoding="utf-8")
ROWS: Final = [
    line for line in PATTERNS.splitlines() if line.startswith("| ") and not re.match(r"\| (?:pattern|anti-pattern|edge) \|", line)
]
REFERENCE: Final = re.compile(r"`([\w./-]+/[\w./-]+|[\w-]+\.toml)(?:::(\w+))?`")

SHOWN: Final = ("CONTRIBUTING.md", "AGENTS.md")
ELSEWHERE: Final = {
    "make test": (".ci/run", "make test"),
    "make test-all": (".github/workflows/ci.yml", "make test-all"),
    "make new-module name=loyalty": ("tests/developer/test_new_module.py", '"new-module", "name=loyalty"'),
    ".venv/bin/ruff check .": ("Makefile", "$(BIN)/ruff check ."),
    ".venv/bin/ruff format --check .": ("Makefile", "$(BIN)/ruff format --check ."),
    ".venv/bin/mypy": ("Makefile", "$(BIN)/mypy"),
    ".venv/bin/mypy modules/catalog": ("tests/developer/test_new_module.py", '"modules/loyalty"'),
    ".venv/bin/lint-imports --no-logo": ("Makefile", "$(BIN)/lint-imports --no-logo"),
    ".venv/bin/pytest tests/architecture": (".ci/run", "make test"),
}
"""Commands of the documents that are not executed here, with the place that does it, or does the like."""


@cache
def defined(path: Path) -> frozenset[str]:
    """The names of functions and classes anywhere in a file, and of what it assigns at its top."""
    tree = parse(path)
    named = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    assigned = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    targets = [target for node in assigned for target in (node.targets if isinstance(node, ast.Assign) else [node.target])]
    return frozenset(named | {target.id for target in targets if isinstance(target, ast.Name)})


def missing(text: str) -> list[str]:
    """The files and names that `text` refers to and that do not exist."""
    references = [(Path(path), name) for path, name in REFERENCE.findall(text)]
    return [f"{path}::{name}" for path, name in references if not (ROOT / path).exists() or (name and name not in defined(path))]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_every_pattern_names_code_that_exists_and_a_test_that_exists(row: str):
    _, where, proof = (cell.strip() for cell in row.strip("|").split("|"))
    assert REFERENCE.search(where)
    assert any(path.startswith("tests/") and name.startswith("test_") for path, name in REFERENCE.findall(proof))
    assert missing(row) == []


def test_the_three_tables_are_there():
    assert [PATTERNS.count(f"\n## {title}") for title in ("Patterns", "Anti-patterns", "Sharp edges")] == [1, 1, 1]
    assert len(ROWS) > 40


@pytest.mark.parametrize(
    "gone", ["`shared/infra/nowhere.py`", "`shared/infra/db/loader.py::Nothing`", "`tests/catalog/test_api.py::test_x`"]
)
def test_what_is_gone_is_found(gone: str):
    assert len(missing(f"| a pattern | {gone} | |")) == 1


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_file_that_a_document_links_to_or_names_exists(document: Path):
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (ROOT / document.parent / link.replace("\\", "")).exists()] == []
    named = [path for path, _ in REFERENCE.findall(text) if path.split("/")[0] in {*PACKAGES, "tests", "docs"}]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_decision_says_why_at_what_price_and_what_proves_it():
    pages = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    for number, page in enumerate(pages, 1):
        text = page.read_text(encoding="utf-8")
        title = text.splitlines()[0].removeprefix(f"# {number}. ")
        assert f"{number}. [{title}]({page.name})" in index
        assert [part for part in ("The choice", "Why", "What follows", "Its price", "Proof") if f"**{part}.**" not in text] == [], page.name
        assert len(text.split()) < 400, f"{page.name} is more than a page"


def commands() -> list[str]:
    blocks = [block for name in SHOWN for block in re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)]
    return sorted({line.split("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()})


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in commands() if command not in ELSEWHERE])
def test_every_command_that_is_shown_works(command: str, execute: Execute, settings: Settings):
    said = execute("bash", "-c", command, environ=environment_of(settings))
    assert said.returncode == 0, said.stdout


def test_the_other_commands_are_executed_where_it_is_said():
    assert [command for command in ELSEWHERE if command not in commands()] == []
    assert [place for place, text in ELSEWHERE.values() if text not in (ROOT / place).read_text(encoding="utf-8")] == []


def test_the_image_copies_what_there_is_and_runs_as_nobody_in_particular():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY ") and "--from=" not in line]
    assert copied == ["requirements.lock", *PACKAGES]
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")]
    assert let_in == copied
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]
    stages = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2
    assert len(set(stages)) == 1, "what was built with one Python runs with the same"


def test_the_image_s_command_is_one_of_ours(execute: Execute):
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    (entry,) = [json.loads(line.removeprefix("ENTRYPOINT ")) for line in lines if line.startswith("ENTRYPOINT ")]
    (command,) = [json.loads(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD ")]
    said = execute(*entry, *command, "--help")
    assert (said.returncode, "Serve the API." in said.stdout) == (0, True)


WITHOUT: Final = """
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in sys.argv[1:] else self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Without, sys.meta_path)
import entrypoints.cli
"""


def test_the_image_s_dependencies_are_enough():
    """A process that serves, works or migrates does without everything that only development installs."""
    runtime, development = (locked((ROOT / name).read_text(encoding="utf-8")) for name in ("requirements.lock", "requirements-dev.lock"))
    gone = {name for name, owners in packages_distributions().items() if {normal(owner) for owner in owners} <= development - runtime}
    assert {"pytest", "testcontainers", "hypothesis"} <= gone
    said = subprocess.run([sys.executable, "-c", WITHOUT, *gone], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr


def locked(lock: str) -> set[str]:
    return {normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
