"""The rules of the house hold in every file, and each of them bites."""

from pathlib import Path
from typing import Final

import pytest

from tests.architecture import rules
from tests.architecture.begun import PLACES, begun
from tests.architecture.tree import ROOT, parse, python_files

SAID: Final = '"""What it is for."""\n\n'

PLANTS: Final = {
    "a long file": ("modules/elm/domain/long.py", "\n" * 400, "split it by topic"),
    "a long container": ("modules/elm/container.py", "\n" * 80, "80 are allowed"),
    "a long function": ("modules/elm/domain/model.py", "def grow():\n" + "    pass\n" * 50, "grow has 51 lines"),
    "an empty name": ("modules/elm/infra/store.py", "class ElmRepositoryImpl: ...", "named for its place"),
    "a prefixed interface": ("modules/elm/domain/ports.py", "class IRepository: ...", "named for its place"),
    "an empty file name": ("shared/infra/helpers.py", "X = 1", "says nothing"),
    "an exemption without a reason": ("shared/infra/a.py", "X = 1  # noq" + "a: E501", "its reason"),
    "an ignored type without a reason": ("shared/infra/a.py", "X = 1  # type: ign" + "ore[assignment]", "its reason"),
    "a task of a module": ("modules/elm/infra/a.py", "import asyncio\nasyncio.create_task(work())", "supervised"),
    "a task of a loop": ("entrypoints/a.py", "asyncio.get_running_loop().create_task(work())", "supervised"),
    "a task by its bare name": ("modules/elm/infra/a.py", "create_task(work())", "supervised"),
    "a task of the chassis": ("shared/infra/a.py", "asyncio.ensure_future(work())", "supervised"),
    "a task by another name": ("shared/infra/a.py", "from asyncio import create_task as begin", "supervised"),
    "a task by hand": ("shared/infra/a.py", "asyncio.Task(work())", "supervised"),
    "a task of another thread": ("shared/infra/a.py", "asyncio.run_coroutine_threadsafe(work(), loop)", "supervised"),
    "a function that begins tasks, handed on": ("shared/infra/a.py", "begin = loop.create_task", "supervised"),
    "a group of tasks": ("modules/elm/infra/a.py", "asyncio.TaskGroup()", "supervised"),
    "works that are left alone when one fails": ("modules/elm/infra/a.py", "asyncio.gather(*works)", "supervised"),
    "a task in another function of a listed file": ("shared/infra/db/loader.py", "create_task(work())", "supervised"),
    "a transaction object": ("modules/elm/infra/a.py", "connection.transaction()", "belong to transact"),
    "a session's transaction": ("shared/infra/a.py", "self.session.begin()", "belong to transact"),
    "a commit by hand": ("shared/infra/a.py", "await connection.execute('COMMIT')", "belong to transact"),
    "formatted SQL": ("modules/elm/infra/a.py", "connection.fetch(f'select {x}')", "not formatted"),
    "SQL with a percent sign": ("modules/elm/infra/a.py", "connection.fetch('select %s' % x)", "not formatted"),
    "SQL with format": ("modules/elm/infra/a.py", "connection.fetch('select {}'.format(x))", "not formatted"),
    "a sleeping test": ("tests/elm/test_a.py", "import time\ntime.sleep(1)", "does not sleep"),
    "an asynchronously sleeping test": ("tests/elm/test_a.py", "asyncio.sleep(0.1)", "does not sleep"),
    "a skipped test": ("tests/elm/test_a.py", "pytest.skip('no server')", "runs everywhere"),
}


@pytest.mark.parametrize("what", PLANTS)
def test_a_planted_violation_is_found(what: str):
    path, code, found = PLANTS[what]
    broken = rules.broken(Path(path), SAID + code)
    assert len(broken) == 1, broken
    assert found in broken[0]


def test_a_file_without_a_purpose_is_found():
    assert rules.broken(Path("shared/infra/a.py"), "X = 1") == ["shared/infra/a.py:1: a file begins with one sentence on its purpose"]


def test_a_reasoned_exemption_is_accepted():
    source = SAID + "X = 1  # noqa: E501 - a table reads best on one line\nY = 2  # type: ignore[assignment]  # the stub is wrong here\n"
    assert rules.broken(Path("shared/infra/a.py"), source) == []


def test_a_task_is_accepted_where_it_is_said_who_sees_its_errors():
    listed = "class Loader:\n    def _send(self):\n        create_task(work())"
    assert rules.broken(Path("shared/infra/db/loader.py"), SAID + listed) == []


def test_works_that_answer_with_their_errors_are_accepted():
    assert rules.broken(Path("shared/infra/a.py"), SAID + "asyncio.gather(*works, return_exceptions=True)") == []


def test_every_place_that_is_said_to_begin_tasks_does():
    files = [path for path in python_files() if path.parts[0] != "tests"]
    found = {f"{path}::{place}" for path in files for _, place in begun(parse(path))}
    assert sorted(PLACES.keys() - found) == []


def test_a_pause_that_is_explained_is_accepted():
    assert rules.broken(Path("tests/elm/test_a.py"), SAID + "asyncio.sleep(0.1)  # the pace of the storm") == []


def test_a_statement_with_names_of_our_own_is_accepted_where_the_line_says_so():
    assert rules.broken(Path("shared/infra/a.py"), SAID + 'c.execute(f"savepoint {name}")  # identifiers only: a counter') == []


def test_every_file_keeps_every_rule():
    broken = [fault for path in python_files() for fault in rules.broken(path, (ROOT / path).read_text(encoding="utf-8"))]
    assert broken == [], "\n".join(broken)
