"""What every test may ask for: real servers, one of each for all workers of a run, and databases on them."""

import os
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from tests.support import databases
from tests.support.run import Run

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

RUN = pytest.StashKey[Run]()


def pytest_configure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", None)
    if worker is None and "TEST_DB" in os.environ:
        from tests.support.servers import WrongChoice, choose  # noqa: PLC0415 - imports the Docker client, slower than many a test

        try:
            choose(os.environ)
        except WrongChoice as error:
            raise pytest.UsageError(str(error)) from None
    config.stash[RUN] = Run(worker["run"] if worker is not None else None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: "WorkerController") -> None:
    node.workerinput["run"] = node.config.stash[RUN].to_give()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if servers := config.stash[RUN].summary():
        terminalreporter.write_line(f"servers: {servers}")


def pytest_unconfigure(config: pytest.Config) -> None:
    if (run := config.stash.get(RUN, None)) is not None:
        run.end()


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Run:
    return pytestconfig.stash[RUN]


@pytest.fixture(scope="session")
def postgres_url(run: Run) -> str:
    """The superuser's URL of the Postgres server, for tests that make databases of their own."""
    return run.postgres_url


@pytest.fixture(scope="session")
def valkey_url(run: Run) -> str:
    return run.valkey_url


@pytest.fixture(scope="module")
async def empty_database(run: Run) -> AsyncIterator[str]:
    """The superuser's URL of an empty database of the test file's own."""
    name = f"{run.id}_{uuid.uuid4().hex[:12]}"
    yield await databases.create(run.postgres_url, name)
    await databases.drop(run.postgres_url, name)
