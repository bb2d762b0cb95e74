"""The files that the checks of the architecture look at."""

import ast
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("entrypoints", "migrations", "modules", "shared")


@cache
def files() -> tuple[Path, ...]:
    """What is in version control, or would be with the next commit."""
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(sorted(path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()))


def python_files(*packages: str) -> list[Path]:
    """Those of `packages` (of everything, without one), relative to the root."""
    relative = [path.relative_to(ROOT) for path in files() if path.suffix == ".py"]
    return [path for path in relative if not packages or path.parts[0] in packages]


def module_names() -> list[str]:
    return sorted(path.name for path in (ROOT / "modules").iterdir() if (path / "__init__.py").is_file())


def parse(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imported(tree: ast.AST) -> set[str]:
    """Every dotted name that `tree` imports, wherever it stands."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return names
