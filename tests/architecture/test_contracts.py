"""The import contracts bite: one forbidden import of every kind is planted in a copy of the code, and each is found."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.architecture.tree import ROOT

STRAY: Final = ""
"""Planted where it is no import that is forbidden but the file itself."""


class Plant(NamedTuple):
    contract: str
    file: str
    line: str
    found: str
    """What the report says, as a regular expression."""


ENTRY: Final = "Entry points use modules, modules use the chassis"
INSIDE: Final = "Inside a module"
CHASSIS: Final = "Inside the chassis"
NEIGHBOURS: Final = "Only infra knows neighbours, and only their public side"
CYCLES: Final = "The graph of modules has no cycle"
PURE: Final = "The domain and the public side know no framework"
API: Final = "The API knows no database"
INFRA: Final = "Infrastructure knows no HTTP API"
INJECTOR: Final = "Only containers know the injector"

PLANTS: Final = [
    Plant(ENTRY, "shared/infra/upward.py", "import modules.elm.public", r"shared\.infra\.upward -> modules\.elm\.public"),
    Plant(ENTRY, "modules/elm/container.py", "import entrypoints.http", r"modules\.elm\.container -> entrypoints\.http"),
    Plant(INSIDE, "modules/elm/domain/store.py", "import modules.elm.infra.store", r"domain\.store -> modules\.elm\.infra\.store"),
    Plant(INSIDE, "modules/elm/api/own_infra.py", "import modules.elm.infra.store", r"api\.own_infra -> modules\.elm\.infra\.store"),
    Plant(INSIDE, "modules/elm/infra/own_api.py", "import modules.elm.api.routes", r"infra\.own_api -> modules\.elm\.api\.routes"),
    Plant(INSIDE, "modules/elm/public.py", "from modules.elm.domain.model import Elm", r"elm\.public -> modules\.elm\.domain"),
    Plant(INSIDE, "modules/elm/domain/wired.py", "import modules.elm.container", r"domain\.wired -> modules\.elm\.container"),
    Plant(
        INSIDE, "modules/elm/domain/deferred.py", "def later():\n    import modules.elm.infra.store",
        r"domain\.deferred -> modules\.elm\.infra\.store",
    ),
    Plant(
        INSIDE, "modules/elm/domain/typing_only.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import modules.elm.infra.store",
        r"domain\.typing_only -> modules\.elm\.infra\.store",
    ),
    Plant(INSIDE, "modules/elm/utils.py", STRAY, r"not listed as layers:.*modules\.elm\.utils"),
    Plant(CHASSIS, "shared/domain/outward.py", "import shared.infra", r"shared\.domain\.outward -> shared\.infra"),
    Plant(CHASSIS, "shared/infra/sideways.py", "import shared.module", r"shared\.infra\.sideways -> shared\.module"),
    Plant(CHASSIS, "shared/utils.py", STRAY, r"not listed as layers:.*shared\.utils"),
    Plant(NEIGHBOURS, "modules/elm/infra/oak.py", "import modules.oak.domain.model", r"elm\.infra\.oak -> modules\.oak\.domain\.model"),
    Plant(NEIGHBOURS, "modules/elm/domain/oak.py", "import modules.oak.public", r"elm\.domain\.oak -> modules\.oak\.public"),
    Plant(NEIGHBOURS, "modules/elm/api/oak.py", "import modules.oak.public", r"elm\.api\.oak -> modules\.oak\.public"),
    Plant(CYCLES, "modules/oak/infra/elm.py", "import modules.elm.public", r"\.(oak|elm) -> \.(oak|elm)"),
    Plant(PURE, "modules/elm/domain/orm.py", "import sqlalchemy", r"elm\.domain\.orm -> sqlalchemy"),
    Plant(PURE, "modules/oak/public.py", "import litestar", r"oak\.public -> litestar"),
    Plant(PURE, "shared/domain/trace.py", "import opentelemetry.trace", r"shared\.domain\.trace -> opentelemetry"),
    Plant(API, "modules/elm/api/sql.py", "import asyncpg", r"elm\.api\.sql -> asyncpg"),
    Plant(API, "modules/elm/api/database.py", "import shared.infra.config", r"elm\.api\.database -> shared\.infra\.config"),
    Plant(API, "shared/api/redis_limits.py", "import redis", r"shared\.api\.redis_limits -> redis"),
    Plant(INFRA, "modules/elm/infra/web.py", "import litestar", r"elm\.infra\.web -> litestar"),
    Plant(INFRA, "shared/infra/answers.py", "import shared.api.problems", r"shared\.infra\.answers -> shared\.api\.problems"),
    Plant(INJECTOR, "modules/elm/infra/wired.py", "import dependency_injector.providers", r"elm\.infra\.wired -> dependency_injector"),
    Plant(INJECTOR, "entrypoints/wired.py", "from dependency_injector import containers", r"entrypoints\.wired -> dependency_injector"),
]  # fmt: skip

LAYERS: Final = ("__init__.py", "public.py", "container.py", "domain/__init__.py", "domain/model.py", "infra/__init__.py", "infra/store.py",
                 "api/__init__.py", "api/routes.py")  # fmt: skip


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the linter says about a copy of the code in which everything is planted: contract → its section."""
    copy = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in ("entrypoints", "modules", "shared"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("elm", "oak"):
        for layer in LAYERS:
            _write(copy / "modules" / name / layer, "")
    for plant in PLANTS:
        _write(copy / plant.file, plant.line)
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    said = subprocess.run(command, cwd=copy, capture_output=True, text=True, env={"COLUMNS": "300"}, check=False)
    assert "Broken contracts" in said.stdout, said.stdout + said.stderr
    sections = re.split(r"^(.+)\n-+\n", said.stdout.split("Broken contracts", 1)[1], flags=re.MULTILINE)
    return dict(zip(sections[1::2], sections[2::2], strict=True))


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as opened:
        opened.write(f"\n{text}\n")


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.file)
def test_a_planted_violation_is_found(plant: Plant, report: dict[str, str]):
    assert re.search(plant.found, report[plant.contract], re.DOTALL), report[plant.contract]


def test_every_contract_has_a_planted_violation():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["name"] for contract in contracts} == {plant.contract for plant in PLANTS}
