"""The command line: it lists itself, and refuses wrong settings with every fault at once."""

import os
import re
import signal
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest

from entrypoints import cli
from entrypoints.commands import columns
from entrypoints.commands.docs import NOWHERE
from entrypoints.development.children import free_port
from entrypoints.development.home import Home
from tests.support.application import environment
from tests.support.processes import ROOT, program, run, start

EXECUTED = {
    "make run": "tests/platform/test_development_system.py",
    "make test": ".ci/run",
}
"""The commands of the README, with what executes them."""


class Said(NamedTuple):
    returncode: int
    stdout: str


Typed = Callable[..., Said]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Typed:
    """Type a command with these settings and no others. In this process, because beginning one takes seconds."""

    def type_(*arguments: str, environ: Mapping[str, str] | None = None) -> Said:
        for name in [name for name in os.environ if name.startswith("TENON_")]:
            monkeypatch.delenv(name)
        for name, value in {"COLUMNS": "80", **(environ or {})}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["tenon", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Said(int(ended.value.code or 0), "".join(capfd.readouterr()))

    return type_


def test_help_names_every_command(typed: Typed):
    said = typed("--help")
    assert said.returncode == 0
    for command in ("config", "db", "dev", "docs", "modules", "openapi", "seed", "serve", "worker"):
        assert re.search(rf"^  {command}\s+\S", said.stdout, re.MULTILINE), said.stdout


@pytest.mark.parametrize("command", [["serve"], ["worker"], ["db", "migrate"], ["seed"]])
def test_wrong_settings_are_refused_with_every_fault_and_a_status_of_their_own(typed: Typed, command: list[str]):
    environ = {"TENON_DATABASE_URL": "mysql://127.0.0.1/tenon", "TENON_REDDIS_URL": "redis://127.0.0.1"}
    said = typed(*command, environ=environ)
    assert said.returncode == 78
    for fault in ("TENON_DATABASE_URL", "TENON_REDDIS_URL", "did you mean TENON_REDIS_URL", "TENON_SECRET is not set"):
        assert fault in said.stdout, said.stdout


def test_in_production_the_owner_s_url_is_for_the_commands_of_the_database_alone(typed: Typed, empty_database: str):
    environ = environment(empty_database, "redis://127.0.0.1", "smtp://127.0.0.1")
    environ |= {"TENON_ENVIRONMENT": "production", "TENON_PUBLIC_URL": "https://shop.example", "TENON_MIGRATION_URL": empty_database}
    migrated = typed("db", "migrate", environ=environ)
    assert migrated.returncode == 0, migrated.stdout
    assert "applied orders 0001" in migrated.stdout
    assert typed("db", "status", environ=environ).returncode == 0
    refused = run(program("tenon"), "worker", environ=environ)  # a process of its own, for the status that it ends with
    assert (refused.returncode, "TENON_MIGRATION_URL is for `tenon db` alone" in refused.stdout) == (78, True), refused.stdout


def test_the_modules_are_listed(typed: Typed):
    said = typed("modules")
    assert said.returncode == 0
    assert "orders.order_placed" in said.stdout


def test_what_the_commands_are_for_is_not_cut_off(typed: Typed):
    for group in ([], ["config"], ["db"], ["events"], ["tasks"], ["sagas"]):
        said = typed(*group, "--help")
        assert not re.search(r"[^]]\.\.\.$", said.stdout, re.MULTILINE), said.stdout


@pytest.mark.parametrize("command", [["db", "migrate"], ["db", "status"], ["db", "down", "orders", "--yes"], ["seed"], ["tasks", "list"]])
def test_a_database_that_is_not_there_is_told_in_one_line(typed: Typed, command: list[str]):
    nowhere = f"postgresql://127.0.0.1:{free_port()}/tenon"
    environ = {**NOWHERE, "TENON_DATABASE_URL": nowhere, "TENON_MIGRATION_URL": nowhere}
    said = typed(*command, environ=environ)
    assert said.returncode == 1
    assert re.fullmatch(r"Error: .*database.*\n", said.stdout), said.stdout


def test_a_module_that_there_is_not_is_refused_before_anything_starts(typed: Typed):
    said = typed("serve", environ={**NOWHERE, "TENON_MODULES": "catalog, shipping"})
    assert said.returncode == 78
    assert "there is no module shipping" in said.stdout


def test_without_any_setting_the_way_to_a_development_system_is_told(typed: Typed):
    if Home().running() is None:
        said = typed("tasks", "list")
        assert said.returncode == 78
        assert "make run" in said.stdout


def test_ctrl_c_while_the_program_loads_ends_it_without_a_word():
    begun = start(sys.executable, "-v", "-m", "entrypoints", "modules")  # -v tells each import
    assert begun.stdout is not None
    for line in begun.stdout:
        if "import 'click'" in line:
            break
    begun.send_signal(signal.SIGINT)
    said, _ = begun.communicate()
    assert begun.returncode == -signal.SIGINT
    assert "Traceback" not in said


def test_rows_are_aligned_and_neither_wrapped_nor_cut_off(capsys: pytest.CaptureFixture[str]):
    columns.show(("id", "what"), [("x" * 200, "first"), ("y", "")])
    assert capsys.readouterr().out.splitlines() == [f"{'id':<200}  what", f"{'x' * 200}  first", "y"]
    columns.show(("id", "what"), [], none="Nothing waits.")
    assert capsys.readouterr().out == "Nothing waits.\n"


def test_the_openapi_document_is_printed_without_settings(typed: Typed):
    said = typed("openapi")
    assert said.returncode == 0, said.stdout
    assert '"openapi": "3.1' in said.stdout


def test_every_command_that_the_readme_shows_is_executed():
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    shown = [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]
    assert shown
    assert [command for command in shown if command not in EXECUTED] == []
    assert [place for command, place in EXECUTED.items() if command not in (ROOT / place).read_text(encoding="utf-8")] == []
