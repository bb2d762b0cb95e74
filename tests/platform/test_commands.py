"""The command line: it lists itself, and refuses wrong settings with every fault at once."""

import re

import pytest

from tests.support.application import environment
from tests.support.processes import ROOT, program, run

EXECUTED = {
    "make run": "tests/platform/test_development_system.py",
    "make test": ".ci/run",
}
"""The commands of the README, with what executes them."""


def test_help_names_every_command():
    said = run(program("tenon"), "--help")
    assert said.returncode == 0
    for command in ("config", "db", "dev", "docs", "modules", "openapi", "seed", "serve", "worker"):
        assert re.search(rf"^  {command}\s+\S", said.stdout, re.MULTILINE), said.stdout


@pytest.mark.parametrize("command", [["serve"], ["worker"], ["db", "migrate"], ["seed"]])
def test_wrong_settings_are_refused_with_every_fault_and_a_status_of_their_own(command: list[str], tmp_path):
    environ = {"TENON_DATABASE_URL": "mysql://127.0.0.1/tenon", "TENON_REDDIS_URL": "redis://127.0.0.1"}
    said = run(program("tenon"), *command, environ=environ)
    assert said.returncode == 78
    for fault in ("TENON_DATABASE_URL", "TENON_REDDIS_URL", "did you mean TENON_REDIS_URL", "TENON_SECRET is not set"):
        assert fault in said.stdout, said.stdout


def test_in_production_the_owner_s_url_is_for_the_commands_of_the_database_alone(empty_database: str):
    environ = environment(empty_database, "redis://127.0.0.1", "smtp://127.0.0.1")
    environ |= {"TENON_ENVIRONMENT": "production", "TENON_PUBLIC_URL": "https://shop.example", "TENON_MIGRATION_URL": empty_database}
    migrated = run(program("tenon"), "db", "migrate", environ=environ)
    assert migrated.returncode == 0, migrated.stdout
    assert "applied orders 0001" in migrated.stdout
    assert run(program("tenon"), "db", "status", environ=environ).returncode == 0
    refused = run(program("tenon"), "worker", environ=environ)
    assert (refused.returncode, "TENON_MIGRATION_URL is for `tenon db` alone" in refused.stdout) == (78, True), refused.stdout


def test_the_modules_are_listed():
    said = run(program("tenon"), "modules", environ={"COLUMNS": "300"})
    assert said.returncode == 0
    assert "orders.order_placed" in said.stdout


def test_the_openapi_document_is_printed_without_settings():
    said = run(program("tenon"), "openapi")
    assert said.returncode == 0, said.stdout
    assert '"openapi": "3.1' in said.stdout


def test_every_command_that_the_readme_shows_is_executed():
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    shown = [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]
    assert shown
    assert [command for command in shown if command not in EXECUTED] == []
    assert [place for command, place in EXECUTED.items() if command not in (ROOT / place).read_text(encoding="utf-8")] == []
