"""The lint rules bite: a violation of each is planted in a folder of its own and found by ruff with our configuration."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.tree import ROOT

PLANTS: Final = {
    "a dynamic import": ("TID251", "import importlib\n\nimportlib.import_module('modules.orders.infra')"),
    "one name of importlib": ("TID251", "from importlib import import_module"),
    "the environment": ("TID251", "import os\n\nos.environ.get('HOME')"),
    "the environment by getenv": ("TID251", "import os\n\nos.getenv('HOME')"),
    "injection into functions": ("TID251", "from dependency_injector.wiring import inject"),
    "what Litestar will remove": ("TID251", "import litestar.contrib.jwt"),
    "a relative import": ("TID252", "from . import sibling"),
    "an import inside a function": ("PLC0415", "def late():\n    import json\n    return json"),
    "SQL out of values": ("S608", "def query(name: str) -> str:\n    return f\"select * from users where name = '{name}'\""),
    "a blind except": ("BLE001", "try:\n    pass\nexcept Exception:\n    pass"),
    "time without a zone": ("DTZ005", "import datetime\n\nprint(datetime.datetime.now())"),
    "print": ("T201", "print('here')"),
    "a private member of another": ("SLF001", "def peek(thing: object) -> object:\n    return thing._inside"),
    "waiting that stops the loop": ("ASYNC251", "import time\n\n\nasync def wait() -> None:\n    time.sleep(1)"),
    "a task nobody keeps": ("RUF006", "import asyncio\n\n\nasync def go() -> None:\n    asyncio.create_task(go())"),
    "an exemption without a code": ("PGH004", "import os  # " + "noqa"),
    "code that is commented out": ("ERA001", "# total = amount + tax"),
    "an endless function": (
        "C901",
        "def f(x: int) -> int:\n" + "".join(f"    if x == {n}:\n        x += 1\n" for n in range(13)) + "    return x",
    ),
}


@pytest.fixture(scope="session")
def findings(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("lint")
    for what, (_, code) in PLANTS.items():
        (folder / f"{what.replace(' ', '_')}.py").write_text(code + "\n", encoding="utf-8")
    ruff = str(Path(sys.executable).with_name("ruff"))
    command = [ruff, "check", "--no-cache", "--config", str(ROOT / "pyproject.toml"), "--output-format=concise", "."]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return said.stdout


@pytest.mark.parametrize("what", PLANTS)
def test_a_planted_violation_is_found(what: str, findings: str):
    code, _ = PLANTS[what]
    lines = [line for line in findings.splitlines() if line.startswith(f"{what.replace(' ', '_')}.py:")]
    assert any(f" {code} " in line for line in lines), lines
