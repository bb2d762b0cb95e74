"""What the linters of the trade say of the documentation: nothing."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.contract.linters import redocly, spectral

Linter = Callable[[Path], subprocess.CompletedProcess[str]]
LINTERS: Final[list[tuple[Linter, str]]] = [(spectral, "No results"), (redocly, "Your API description is valid")]


@pytest.mark.parametrize(("linter", "verdict"), LINTERS)
def test_a_linter_finds_nothing(linter: Linter, verdict: str, document: bytes, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_bytes(document)
    done = linter(tmp_path / "openapi.json")
    assert (done.returncode, verdict in done.stdout, "warning" in done.stdout.partition("validating")[2]) == (0, True, False), done.stdout


@pytest.mark.parametrize(("linter", "finding"), [(spectral, "operation-tags"), (redocly, "info-license")])
def test_a_planted_fault_is_found(linter: Linter, finding: str, document: bytes, tmp_path: Path) -> None:
    """A warning in both: not only errors count."""
    changed: dict[str, Any] = json.loads(document)
    del changed["info"]["license"]
    del changed["paths"]["/v1/carts"]["post"]["tags"]
    (tmp_path / "openapi.json").write_text(json.dumps(changed))
    assert finding in linter(tmp_path / "openapi.json").stdout
