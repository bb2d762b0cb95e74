"""One system of several processes for all journeys of a test worker; a failed test shows what its processes said."""

from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest

from tests.journeys.system import System, running
from tests.support import application, databases
from tests.support.run import Run


@pytest.fixture(scope="package")
async def processes(run: Run, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """On a migrated database of their own."""
    folder: Path = tmp_path_factory.mktemp("system")
    async with databases.lent(run, template) as url, running(application.settings(url, run, folder / "outbox"), folder) as system:
        yield system


@pytest.fixture
async def system(processes: System) -> AsyncIterator[System]:
    """Two API processes and two workers. Who kills workers starts others."""
    yield processes
    await processes.complete()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    system = getattr(item, "funcargs", {}).get("system")
    if report.failed and isinstance(system, System):
        report.sections += list(system.last_words())
    return report
