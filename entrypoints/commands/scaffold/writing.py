"""Writes a new module: its files from the templates, its two lines in the root, the payload of its event."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from minijinja import Environment

from entrypoints.commands.scaffold.names import Names, Refused

TEMPLATES: Final = Path(__file__).with_name("templates")
ENDING: Final = ".jinja"
ROOT_CONTAINER: Final = Path("entrypoints/container.py")
PAYLOADS: Final = Path("tests/architecture/event_payloads.json")
EXAMPLE_ID: Final = "0199f3a27c5e7d10b4c8a1f2e3d4c5b6"


def write(names: Names, root: Path) -> list[Path]:
    """Answers the files that are new, relative to `root`; raises Refused, and then has written nothing."""
    container = registered((root / ROOT_CONTAINER).read_text(encoding="utf-8"), names)
    payloads = with_payload((root / PAYLOADS).read_text(encoding="utf-8"), names)
    files = dict(rendered(names))
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    (root / ROOT_CONTAINER).write_text(container, encoding="utf-8")
    (root / PAYLOADS).write_text(payloads, encoding="utf-8")
    _tidy([*files, ROOT_CONTAINER], root)
    return sorted(files)


def rendered(names: Names) -> Iterator[tuple[Path, str]]:
    environment = Environment(undefined_behavior="strict", keep_trailing_newline=True)
    forms = names.forms()
    for template in sorted(TEMPLATES.rglob(f"*{ENDING}")):
        path = str(template.relative_to(TEMPLATES)).removesuffix(ENDING).replace("/module/", f"/{names.module}/")
        text = environment.render_str(template.read_text(encoding="utf-8"), **forms)
        yield Path(path.replace("0002_things", f"0002_{names.things}")), text


def registered(source: str, names: Names) -> str:
    """The composition root with the module's import, its container, and its place in the list of all."""
    module, container = names.module, f"{names.forms()['Module']}Container"
    tree = ast.parse(source)
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and str(node.module).startswith("modules.")]
    root = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Root")
    assigned = {target.id: node.value for node in root.body if isinstance(node, ast.Assign) for target in node.targets
                if isinstance(target, ast.Name) and isinstance(node.value, ast.Call)}  # fmt: skip
    if module in assigned:
        raise Refused(f"{module!r} is taken in {ROOT_CONTAINER}")
    every = assigned["modules"]
    last = [call for call in assigned.values() if ast.unparse(call.func) == "providers.Container"][-1]
    insertions = {
        _after(imports[-1]): f"\nfrom modules.{module}.container import {container}",
        _after(last): f"\n    {module} = providers.Container({container}, shared=shared)",
        _after(every.args[-1]): f", {module}.module",
    }
    return _with(source, insertions)


def with_payload(text: str, names: Names) -> str:
    """One line per event that was ever published, sorted."""
    line = f'  "{names.module}.{names.thing}_created v1": {{"{names.thing}_id": "{names.prefix}_{EXAMPLE_ID}"}}'
    known = [known.rstrip(",") for known in text.splitlines()[1:-1]]
    return "{\n" + ",\n".join(sorted([*known, line])) + "\n}\n"


def _after(node: ast.stmt | ast.expr) -> tuple[int, int]:
    if node.end_lineno is None or node.end_col_offset is None:
        raise AssertionError("what was parsed from text has an end")
    return node.end_lineno - 1, node.end_col_offset


def _with(source: str, insertions: Mapping[tuple[int, int], str]) -> str:
    lines = source.splitlines()
    for (line, column), text in sorted(insertions.items(), reverse=True):
        lines[line] = lines[line][:column] + text + lines[line][column:]
    return "\n".join(lines) + "\n"


def _tidy(files: list[Path], root: Path) -> None:
    """Sorted and wrapped as the house does it, however long the names are; then what is generated from the modules."""
    ruff = str(Path(sys.executable).with_name("ruff"))
    python = [str(root / file) for file in files if file.suffix == ".py"]
    subprocess.run([ruff, "check", "--quiet", "--fix", "--select", "I", *python], cwd=root, check=True)
    subprocess.run([ruff, "format", "--quiet", *python], cwd=root, check=True)
    subprocess.run([sys.executable, "-m", "entrypoints", "docs"], cwd=root, stdout=subprocess.DEVNULL, check=True)
