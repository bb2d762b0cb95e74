"""Prometheus' own word on the rules. Collected where promtool is installed (see conftest.py)."""

import subprocess
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

HERE = Path("deploy") / "prometheus"


@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", HERE / "prometheus.yml"),
        ("check", "rules", HERE / "recording.yml", HERE / "alerts.yml"),
        ("test", "rules", HERE / "alerts.test.yml"),
    ],
    ids=lambda command: f"{command[0]} {command[1]}",
)
def test_promtool_finds_nothing_wrong(command: tuple[str | Path, ...]):
    said = subprocess.run(["promtool", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
