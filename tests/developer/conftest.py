"""A copy of the tree, in which commands may write what they like."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.tree import ROOT, files

PROGRAMS: Final = Path(sys.executable).parent

Execute = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    copy = tmp_path_factory.mktemp("tree")
    for file in files():
        (copy / file.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy / file.relative_to(ROOT))
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    (copy / ".venv").mkdir()
    (copy / ".venv" / "bin").symlink_to(PROGRAMS)
    (copy / ".venv" / ".ready").touch()  # after the lock: nothing is to be set up
    yield copy
    shutil.rmtree(copy)


@pytest.fixture(scope="module")
def execute(tree: Path) -> Execute:
    """A command in the copy, of the code in the copy, whichever is installed."""

    def run(*command: str, environ: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        surroundings = {"PATH": f"{PROGRAMS}:/usr/bin:/bin", "PYTHONPATH": str(tree), "COLUMNS": "300", **(environ or {})}
        return subprocess.run(command, cwd=tree, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)

    return run
