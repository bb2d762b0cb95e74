"""One stream of structured lines, libraries included, in which nothing named like a secret is readable."""

import io
import json
import logging
import secrets
from collections.abc import Iterator
from datetime import date

import asyncpg
import msgspec
import pytest
import structlog

from shared.domain.context import Context, begin
from shared.domain.errors import NotFound
from shared.infra.db.errors import DatabaseUnavailable
from shared.infra.secrets import Secret
from shared.infra.telemetry import configure_logging
from shared.infra.telling import REDACTED, is_secret, stack, told

SECRET = secrets.token_hex(8)
ADDRESS = "ada@example.org"


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


def fail(secret: str) -> None:
    try:
        int(secret)
    except ValueError as error:
        error.add_note(secret)
        raise ExceptionGroup(secret, [KeyError(secret), TypeError("1 argument too many"), NotFound("no such product")]) from error


def test_a_stack_shows_lines_of_code_and_of_messages_those_whose_types_vouch_for_them(stream: io.StringIO) -> None:
    try:
        fail(SECRET)
    except ExceptionGroup as group:
        structlog.get_logger().error("failed", exc_info=group, error=group)
        logging.getLogger("theirs").exception("failed")
    ours, theirs = written(stream)
    for line in (ours, theirs):
        assert SECRET not in str(line)
        told = str(line["exception"])
        assert "int(secret)\nValueError\n\nThe above exception was the direct cause of the following one:\n" in told
        assert "  | KeyError\n" in told
        assert told.endswith("  | NotFound: no such product")
    assert ours["error"] == "ExceptionGroup: KeyError; TypeError: 1 argument too many; NotFound: no such product"


def test_what_caused_an_error_is_told_once_and_with_all_before_it() -> None:
    first, second = ValueError(), KeyError()
    first.__context__, second.__context__ = second, first
    assert stack(first).count("ValueError") == 1


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError(SECRET), "RuntimeError"),
        (OSError(111, SECRET, SECRET), "ConnectionRefusedError: Connection refused"),
        (OSError(SECRET), "OSError"),
        (TimeoutError(), "TimeoutError"),
        (DatabaseUnavailable("the database cannot be reached"), "DatabaseUnavailable: the database cannot be reached"),
        (asyncpg.DataError(f'invalid input syntax: "{SECRET}"'), "DataError: SQLSTATE 22000"),
        (asyncpg.UniqueViolationError("violates user_email_key"), "UniqueViolationError: violates user_email_key"),
        (msgspec.ValidationError("Expected `int` - at `$.n`"), "ValidationError: Expected `int` - at `$.n`"),
        (msgspec.ValidationError(f"Invalid enum value '{SECRET}'"), "ValidationError"),
        (NotFound(f"nobody is called {ADDRESS}"), "NotFound: nobody is called [redacted]"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_told_of_an_error_depends_on_its_type(error: Exception, says: str) -> None:
    assert told(error) == says


def test_development_is_told_everything() -> None:
    disclosed = io.StringIO()
    configure_logging("json", "info", disclosed, disclosing=True)
    structlog.get_logger().error("failed", exc_info=ValueError(SECRET))
    assert f"ValueError: {SECRET}" in disclosed.getvalue()


class Card(msgspec.Struct):
    number: int
    payment_method: str


@pytest.mark.parametrize(
    ("value", "written_as"),
    [
        (Secret(SECRET), "Secret(…)"),
        (SECRET.encode(), "[16 bytes]"),
        ([(b"cookie", SECRET.encode()), ("Authorization", SECRET)], [["[6 bytes]", "[16 bytes]"], ["Authorization", "[redacted]"]]),
        (Card(1, SECRET), {"number": 1, "payment_method": "[redacted]"}),
        ({b"cart-token": SECRET}, {"cart-token": "[redacted]"}),
        (f"smtp://tenon:{SECRET}@mail.example:25", "smtp://[redacted]mail.example:25"),
        (f"Authorization: Bearer {SECRET}", "Authorization: Bearer [redacted]"),
        (f"a token eyJhbGciOiJ.{SECRET}.x", "a token [redacted]"),
        (f"to {ADDRESS}, at once", "to [redacted], at once"),
        (object(), "[object]"),
        (object, "<class 'object'>"),
        ({date(2026, 1, 2)}, ["2026-01-02"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_written_of_a_value_depends_on_its_type(stream: io.StringIO, value: object, written_as: object) -> None:
    structlog.get_logger().info("careless", value=value)
    assert written(stream)[0]["value"] == written_as


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
