"""The SQL that migrations run is complete, can be read beforehand, and passes squawk."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.infra.db.chains import MIGRATIONS, Chain

MODULES = sorted(folder.name for folder in MIGRATIONS.iterdir() if (folder / "0001_chassis.py").exists())
SQUAWK = [str(Path(sys.executable).with_name("squawk")), "--config", str(MIGRATIONS.parent / ".squawk.toml")]


def faults(tmp_path, sql):
    file = tmp_path / "migration.sql"
    file.write_text(sql)
    report = subprocess.run([*SQUAWK, "--reporter", "gcc", str(file)], capture_output=True, text=True, check=False)
    return "" if report.returncode == 0 else report.stdout


@pytest.mark.parametrize("module", MODULES)
def test_the_migrations_of_a_module_have_no_fault(tmp_path, module):
    assert faults(tmp_path, Chain(module).upgrade_sql()) == ""


@pytest.mark.parametrize("module", MODULES)
def test_each_migration_is_a_transaction_of_the_owner_that_does_not_wait_long_for_locks(module):
    chain = Chain(module)
    lines = chain.upgrade_sql().splitlines()
    assert lines[0] == f"set role tenon_{module}_owner;"
    assert f"set search_path = {module}, pg_temp;" in lines
    assert "set lock_timeout = '5s';" in lines
    assert lines.count("BEGIN;") == lines.count("COMMIT;") == len(chain.pending(None))


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ("create index task_planted on task (kind)", "require-concurrent-index-creation"),
        ("alter table task add column planted text not null", "adding-required-field"),
        ("alter table task rename column kind to planted", "renaming-column"),
        ("alter table task drop column kind", "ban-drop-column"),
    ],
)
def test_a_planted_fault_is_found(tmp_path, planted, fault):
    head = Chain(MODULES[0]).upgrade_sql().split("BEGIN;")[0]
    assert fault in faults(tmp_path, f"{head}BEGIN;\n{planted};\nCOMMIT;\n")
