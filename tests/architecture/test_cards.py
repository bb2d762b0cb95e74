"""Every module's card says what its code does, and the map of the README is made of the cards."""

import ast
from typing import Final

import pytest

from entrypoints.commands import docs
from entrypoints.commands.cards import Card, NoCard, card, cards
from tests.architecture.tree import ROOT, imported, module_names, parse, python_files

CARDS: Final = {card.module: card for card in cards()}


def test_every_module_has_a_card():
    assert sorted(CARDS) == module_names()


@pytest.mark.parametrize("missing", ["Owns", "Publishes", "Listens", "Calls"])
def test_a_card_that_lacks_a_line_is_refused(missing: str):
    lines = ["Elms: what they are for.", ""]
    lines += [f"{line}: nothing" for line in ("Owns", "Publishes", "Listens", "Calls") if line != missing]
    with pytest.raises(NoCard, match=missing):
        card("elm", "\n".join(lines))


def test_a_card_is_read_whole():
    text = (
        "Elms: what they are for.\n\nOwns: trees.\nPublishes: elm.grown,\n  elm.felled\nListens: nothing\nCalls: \u2013\n\nMore about elms."
    )
    assert card("elm", text) == Card("elm", "Elms: what they are for.", "trees", ("elm.grown", "elm.felled"), (), ())


def event_types(module: str) -> set[str]:
    """What the classes of the public side set as their `event_type`."""
    public = [path for path in python_files("modules") if path.parts[1] == module and path.parts[2].startswith("public")]
    nodes = [node for path in public for node in ast.walk(parse(path)) if isinstance(node, ast.Assign | ast.AnnAssign)]
    return {str(node.value.value) for node in nodes if "event_type" in ast.unparse(node) and isinstance(node.value, ast.Constant)}


@pytest.mark.parametrize("module", sorted(CARDS))
def test_a_card_publishes_what_the_public_side_declares(module: str):
    assert set(CARDS[module].publishes) == event_types(module)


@pytest.mark.parametrize("module", sorted(CARDS))
def test_a_card_calls_the_neighbours_that_its_infra_imports(module: str):
    names = set().union(*(imported(parse(path)) for path in python_files("modules") if path.parts[1:3] == (module, "infra")))
    called = {other for other in CARDS if other != module and any(name.startswith(f"modules.{other}.public") for name in names)}
    assert {name for name in CARDS[module].calls if name in CARDS} == called


@pytest.mark.parametrize("path", sorted(docs.generated()), ids=lambda path: path.name)
def test_what_is_generated_is_up_to_date(path):
    assert path.read_text(encoding="utf-8") == docs.generated()[path], "run `make docs`"


def test_the_readme_maps_every_module():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [module for module in CARDS if f"(modules/{module}/__init__.py)" not in readme] == []
