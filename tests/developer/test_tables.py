"""`tenon routes`, `subscriptions` and `jobs`, as a developer types them, and the catalogue of events."""

import json
from functools import reduce
from operator import getitem
from typing import Any, Final

import click
import pytest
from click.testing import CliRunner

from entrypoints.commands import describe, tables
from entrypoints.commands.docs import NOWHERE, openapi
from entrypoints.container import Root, compose
from shared.domain.events import Event
from shared.infra.config import load
from shared.infra.tasks.upkeep import crons_of
from tests.architecture.tree import ROOT


def typed(command: click.Command, *arguments: str) -> str:
    done = CliRunner(env={"COLUMNS": "300"}).invoke(command, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
async def root() -> Root:
    return compose(load(NOWHERE))


def test_every_operation_of_the_documentation_is_a_row():
    documented = {
        (method.upper(), path, operation["operationId"])
        for path, item in json.loads(openapi())["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, dict) and "operationId" in operation
    }
    rows = json.loads(typed(tables.routes, "--json"))
    assert {(row["method"], row["path"], row["operation"]) for row in rows} == documented


SHORT: Final = {"/v1/ledger/accounts": "the chart of accounts is in the code"}
"""Lists that cannot grow, and why."""


def test_every_list_has_a_limit():
    """No answer is a bare array, and whatever has `data` is a page of at most a hundred."""
    document = json.loads(openapi())

    def resolved(node: Any) -> Any:
        return reduce(getitem, node["$ref"].split("/")[1:], document) if "$ref" in node else node

    found = 0
    for path, operation in ((path, item["get"]) for path, item in document["paths"].items() if "get" in item and path not in SHORT):
        content = operation["responses"]["200"].get("content", {}).get("application/json", {"schema": {}})
        shape = resolved(content["schema"])
        assert shape.get("type") != "array", path
        limits = [each["schema"]["maximum"] for each in map(resolved, operation["parameters"]) if each["name"] == "limit"]
        assert limits == ([100] if "data" in shape.get("properties", {}) else []), path
        found += len(limits)
    assert found > 5


def test_a_route_says_who_may_call_it_and_what_it_needs():
    rows = {row["operation"]: row for row in json.loads(typed(tables.routes, "--json", "--module", "orders"))}
    assert {row["module"] for row in rows.values()} == {"orders"}
    assert (rows["completeCart"]["key"], rows["updateCart"]["if_match"]) == ("required", "required")
    assert describe.GUESTS in rows["getCart"]["who"]
    shown = next(line for line in typed(tables.routes).splitlines() if " completeCart " in line)
    assert shown.split()[:3] == ["orders", "POST", "/v1/carts/{cart_id}/complete"]
    assert "Idempotency-Key" in shown


def test_every_event_is_a_row_with_those_who_listen_to_it(root: Root):
    rows = {row["type"]: row for row in json.loads(typed(tables.subscriptions, "--json"))}
    assert rows.keys() == {event.event_type for module in root.modules() for event in module.publishes}
    heard = {(row["type"], each["subscription"]) for row in rows.values() for each in row["listeners"]}
    assert heard == {(kind, each.id) for module in root.modules() for each in module.subscriptions for kind in each.on}
    assert "orders.payments (database)" in typed(tables.subscriptions, "--module", "payments")


def test_every_kind_of_work_is_a_row_and_a_clock_s_says_how_often(root: Root):
    rows = {row["kind"]: row for row in json.loads(typed(tables.jobs, "--json"))}
    clocks = {cron.kind.name: cron.every.total_seconds() for module in root.modules() for cron in crons_of(module)}
    assert rows.keys() == {kind.name for module in root.modules() for kind in module.tasks} | clocks.keys()
    assert {name: row["every_s"] for name, row in rows.items() if row["every_s"]} == clocks
    assert "0:00:10" in typed(tables.jobs)


def test_a_module_that_does_not_exist_is_refused():
    refused = CliRunner().invoke(tables.jobs, ["--module", "paiments"])
    assert (refused.exit_code, refused.stderr) == (1, "Error: there is nothing of a module paiments\n")


def test_every_event_says_what_it_means(root: Root):
    """A Struct without a docstring would inherit that of all events."""
    events = [event for module in root.modules() for event in module.publishes]
    assert [event.__name__ for event in events if event.__doc__ in (None, "", Event.__doc__)] == []


def test_the_catalogue_names_every_event_field_and_listener(root: Root):
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    for row in describe.events(root.modules()):
        line = next(line for line in page.splitlines() if line.startswith(f"| `{row.type}` v{row.version} "))
        assert [field.name for field in row.fields if f"`{field.name}`" not in line] == []
        assert [each.subscription for each in row.listeners if f"[{each.subscription}]" not in line] == []


@pytest.mark.parametrize(
    ("shape", "text"),
    [(int | None, "int | null"), (list[str], "list[str]"), (dict[str, int], "dict[str, int]"), (str, "str")],
)
def test_types_are_written_as_one_writes_them(shape: object, text: str):
    assert describe.written(shape) == text
