"""One stream of structured lines, libraries included, in which nothing named like a secret is readable."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from shared.domain.context import Context, begin
from shared.infra.telemetry import REDACTED, configure_logging, is_secret


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the lines go; the loggers are put back as they were."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    configure_logging("json", "info", written)
    yield written
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def written(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_our_lines_and_those_of_libraries_are_json_with_the_trace(stream: io.StringIO) -> None:
    begin(Context(trace_id="4bf92f3577b34da6a3ce929d0e0e4736"))
    structlog.get_logger().info("ours", n=1)
    logging.getLogger("uvicorn.error").warning("theirs %s", 2)
    ours, theirs = written(stream)
    assert (ours["event"], ours["n"], ours["level"]) == ("ours", 1, "info")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("theirs 2", "uvicorn.error", "warning")
    assert ours["trace_id"] == theirs["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert str(ours["timestamp"]).endswith("Z")


def test_what_is_named_like_a_secret_is_not_written_at_any_depth(stream: io.StringIO) -> None:
    structlog.get_logger().info(
        "careless",
        password="hunter2",
        headers={"Authorization": "Bearer hunter2", "accept": "*/*"},
        rows=[{"refresh_token": "hunter2", "id": 1}],
    )
    [line] = written(stream)
    assert "hunter2" not in stream.getvalue()
    assert line["password"] == REDACTED
    assert line["headers"] == {"Authorization": REDACTED, "accept": "*/*"}
    assert line["rows"] == [{"refresh_token": REDACTED, "id": 1}]


@pytest.mark.parametrize(
    "name", ["password", "client_secret", "Cookie", "Set-Cookie", "x-api-key", "apiKey", "Cart-Token", "privateKey", "cvc"]
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["route", "status", "principal", "trace_id", "operation", "keys", "author"])
def test_ordinary_names_are_not_secrets(name: str) -> None:
    assert not is_secret(name)


def test_a_stack_shows_lines_of_code_and_no_values(stream: io.StringIO) -> None:
    def fail(password: str) -> None:
        raise ValueError(f"{len(password)} characters")

    try:
        fail("hunter2hunter2")
    except ValueError as error:
        structlog.get_logger().error("failed", exc_info=error)
    [line] = written(stream)
    assert "ValueError: 14 characters" in str(line["exception"])
    assert "hunter2hunter2" not in str(line["exception"]).replace('fail("hunter2hunter2")', "")


def test_a_value_that_json_does_not_know_is_shown_as_python_shows_it(stream: io.StringIO) -> None:
    structlog.get_logger().info("odd", value=object)
    assert written(stream)[0]["value"] == "<class 'object'>"


def test_lines_below_the_level_and_those_we_write_better_are_left_out(stream: io.StringIO) -> None:
    structlog.get_logger().debug("quiet")
    logging.getLogger("uvicorn.access").info("GET / 200")
    logging.getLogger("uvicorn.error").info("Waiting for application startup.")
    logging.getLogger("sqlalchemy.engine").info("select 1")
    assert written(stream) == []


def test_the_console_is_for_people() -> None:
    console = io.StringIO()
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logging("console", "debug", console)
        structlog.get_logger().info("hello", trace_id="4bf92f", n=1)
    finally:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(False)
    assert console.getvalue().endswith(" [info     ] hello n=1 trace_id=4bf92f\n"), "no colours where no terminal is, and the trace last"
    with pytest.raises(json.JSONDecodeError):
        json.loads(console.getvalue())
