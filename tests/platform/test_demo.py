"""`make demo`: tells its story on the running system, as often as one likes, and on one of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from entrypoints.development.children import SHORT_PLACE, free_port
from tests.support.processes import run, start


@pytest.fixture
def home() -> Iterator[Path]:
    """With a blank, as paths of people have."""
    folder = Path(tempfile.mkdtemp(prefix="tenon test ", dir=SHORT_PLACE))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
def test_the_story_is_told_on_the_running_system_as_often_as_one_likes(home: Path):
    serving = start("make", "run", f"PORT={free_port()}", f"ARGS=--home '{home}'")
    assert serving.stdout is not None
    for line in serving.stdout:
        if "Ctrl-C ends it" in line:
            break
    for _ in range(2):
        told = run("make", "demo", f"ARGS=--home '{home}'")
        assert told.returncode == 0, told.stdout
        assert "1 order, 9 times not enough in stock" in told.stdout
    serving.terminate()
    serving.communicate()


@pytest.mark.slow
def test_where_nothing_runs_the_story_brings_its_own_system(home: Path):
    told = run("make", "demo", f"ARGS=--home '{home}'")
    assert told.returncode == 0, told.stdout
    assert list(home.iterdir()) == []
