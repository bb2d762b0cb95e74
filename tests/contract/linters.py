"""Spectral and Redocly, which `make test` installs beside this file where there is Node.js; none of them calls home."""

import subprocess
from pathlib import Path
from typing import Final

from tests.support.processes import run

FOLDER: Final = Path(__file__).parent
PROGRAMS: Final = FOLDER / "node_modules" / ".bin"
SILENT: Final = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "CI": "true"}


def missing() -> str | None:
    """Why the documentation is not linted in this run; None when it is."""
    installed = (FOLDER / "node_modules" / ".ready").exists()
    return None if installed else "the linters of the documentation, which make test installs where npm and Node.js 20.19 are"


def spectral(document: Path) -> subprocess.CompletedProcess[str]:
    """Every rule of its ruleset for OpenAPI; the least finding fails."""
    ruleset = FOLDER / "spectral.yaml"
    return run(str(PROGRAMS / "spectral"), "lint", str(document), "--ruleset", str(ruleset), "--fail-severity", "hint")


def redocly(document: Path) -> subprocess.CompletedProcess[str]:
    """The recommended rules; a warning is a finding, too."""
    return run(str(PROGRAMS / "redocly"), "lint", str(document), "--extends=recommended", "--format=stylish", environ=SILENT)
