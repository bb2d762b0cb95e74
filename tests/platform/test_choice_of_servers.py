"""Tests run on the servers they are told to, and never fall back silently."""

import pytest

from tests.support import servers
from tests.support.processes import program, run
from tests.support.servers import WrongChoice, choose

URL = {"TEST_DATABASE_URL": "postgresql://postgres@127.0.0.1/postgres"}


@pytest.fixture(params=[True, False], ids=["with Docker", "without Docker"])
def docker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(servers, "docker_answers", lambda: request.param)
    return bool(request.param)


def test_an_address_is_preferred(docker: bool):
    assert choose(URL) == "url"


def test_without_an_address_docker_is_used_where_an_engine_answers_else_the_embedded_server(docker: bool):
    assert choose({}) == ("docker" if docker else "embedded")


@pytest.mark.parametrize("kind", ["url", "embedded"])
def test_a_forced_kind_is_taken(kind: str, docker: bool):
    assert choose({"TEST_DB": kind, **URL}) == kind


def test_forced_docker_without_an_engine_is_refused(docker: bool):
    if docker:
        assert choose({"TEST_DB": "docker", **URL}) == "docker"
    else:
        with pytest.raises(WrongChoice, match="no Docker engine answers"):
            choose({"TEST_DB": "docker", **URL})


def test_a_forced_address_that_is_missing_is_refused(docker: bool):
    with pytest.raises(WrongChoice, match="TEST_DATABASE_URL"):
        choose({"TEST_DB": "url"})


def test_an_unknown_kind_is_refused(docker: bool):
    with pytest.raises(WrongChoice, match="use url, docker or embedded"):
        choose({"TEST_DB": "sqlite"})


def test_a_run_that_is_forced_to_what_is_missing_ends_before_its_first_test():
    environ = {"TEST_DB": "docker", "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    ended = run(program("pytest"), "-q", "-p", "no:cacheprovider", "tests/chassis/config", environ=environ)
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "no Docker engine answers" in ended.stdout
    assert "passed" not in ended.stdout
