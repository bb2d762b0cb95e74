"""What every test may ask for: real servers, one of each for all workers of a run, and databases on them."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import structlog

from entrypoints.container import Root
from entrypoints.process import build_worker
from shared.infra.config import Settings
from tests.contract import linters
from tests.support import answers, application, databases, queries, whole_run
from tests.support.run import Run

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

RUN = pytest.StashKey[Run]()


def pytest_configure(config: pytest.Config) -> None:
    leave_loggers_uncached()
    worker = getattr(config, "workerinput", None)
    if worker is None and "TEST_DB" in os.environ:
        from tests.support.servers import WrongChoice, choose  # noqa: PLC0415 - imports the Docker client, slower than many a test

        try:
            choose(os.environ)
        except WrongChoice as error:
            raise pytest.UsageError(str(error)) from None
    config.stash[RUN] = Run(worker["run"] if worker is not None else None)


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    """What a test configures is not the next one's."""
    yield
    structlog.reset_defaults()


def leave_loggers_uncached() -> None:
    """What one test's application has configured would stay in the loggers, and the next test could not capture them."""
    configure = structlog.configure
    pytest.MonkeyPatch().setattr(structlog, "configure", lambda **options: configure(**{**options, "cache_logger_on_first_use": False}))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: "WorkerController") -> None:
    node.workerinput["run"] = node.config.stash[RUN].to_give()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: "WorkerController") -> None:
    answers.ANSWERS.update(map(tuple, getattr(node, "workeroutput", {}).get("answers", ())))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (told := getattr(session.config, "workeroutput", None)) is not None:
        told["answers"] = list(answers.ANSWERS)
    else:
        whole_run.judge(session)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if servers := config.stash[RUN].summary():
        terminalreporter.write_line(f"servers: {servers}")
    for line in whole_run.verdict(config):
        terminalreporter.write_line(line, red=True)
    if why := linters.missing():
        terminalreporter.write_line(f"not tried: {why}")
    if shutil.which("promtool") is None:
        terminalreporter.write_line("not tried: the rules of Prometheus, whose promtool is not installed (Debian's package prometheus)")


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
    async with databases.lent(run) as url:
        yield url


@pytest.fixture(scope="session")
async def template(run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with every module's schema, migrated once in the run."""
    return await application.template(run, tmp_path_factory.getbasetemp().parent / f"{run.id}.lock")


@pytest.fixture(scope="module")
async def settings(run: Run, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    """Of an application with a migrated database of the test file's own."""
    async with databases.lent(run, template) as url:
        yield application.settings(url, run, tmp_path_factory.mktemp("outbox"))


@pytest.fixture
async def fresh_settings(run: Run, template: str, tmp_path: Path) -> AsyncIterator[Settings]:
    """Of an application with a migrated database of the test's own."""
    async with databases.lent(run, template) as url:
        yield application.settings(url, run, tmp_path)


@pytest.fixture(scope="module")
async def container(settings: Settings) -> AsyncIterator[Root]:
    """The whole application, without its loops: what they would do is done by `settle`."""
    async with application.composed(settings) as root:
        yield root


@pytest.fixture
async def fresh_container(fresh_settings: Settings) -> AsyncIterator[Root]:
    async with application.composed(fresh_settings) as root:
        yield root


@pytest.fixture(scope="module")
async def client(container: Root) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to the application over ASGI, in the loop of the test."""
    async with application.client(container) as opened:
        yield opened


@pytest.fixture
async def fresh_client(fresh_container: Root) -> AsyncIterator[httpx.AsyncClient]:
    async with application.client(fresh_container) as opened:
        yield opened


@pytest.fixture(scope="module")
def settle(container: Root) -> Callable[[], Awaitable[None]]:
    """`await settle()` delivers every event and does every task and saga of `container` that is due."""
    return build_worker(container).drain


@pytest.fixture(scope="module")
def admin_dsn(settings: Settings) -> str:
    """The superuser's URL of the database of `settings`, for checks behind the application's back."""
    return settings.database_url


@pytest.fixture
def query_budget() -> Callable[[int], AbstractContextManager[queries.Spent]]:
    """`with query_budget(3):` fails, and lists them, when more statements are sent inside, by requests and use cases alike."""
    return queries.query_budget
