"""What only a run of all tests can tell: that none was skipped, and that every documented refusal was seen."""

import pytest

from entrypoints.commands.docs import openapi
from tests.support.answers import ANSWERS, unseen

WHOLE: pytest.StashKey[list[str]] = pytest.StashKey()
EVERYTHING = ("", "not soak")
"""The expressions of marks with which `make test-all` and `make test` choose."""


def is_whole(config: pytest.Config) -> bool:
    """Whether nobody has chosen among the tests."""
    option = config.option
    narrowed = option.keyword or option.collectonly or option.markexpr not in EVERYTHING
    again = any(getattr(option, name, False) for name in ("lf", "stepwise"))
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not (narrowed or again)


def judge(session: pytest.Session) -> None:
    """Fail a run in which every test has passed, where that was not all that there is to it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.exitstatus != pytest.ExitCode.OK or reporter is None or not is_whole(session.config):
        return
    missing = [f"skipped: {report.nodeid}" for report in reporter.stats.get("skipped", ())]
    missing += [f"documented, and produced by no test: {refusal}" for refusal in unseen(openapi(), ANSWERS)]
    if missing:
        session.config.stash[WHOLE] = missing
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def verdict(config: pytest.Config) -> list[str]:
    return config.stash.get(WHOLE, [])
