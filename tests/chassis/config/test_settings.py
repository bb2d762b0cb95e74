"""Settings are read once, whole, and refused with every fault at once."""

from pathlib import Path

import pytest

from shared.infra.config import ConfigurationError, load, migration_url
from shared.infra.secrets import Secret

GOOD_SECRET = "kV9tq3mXb7Lw2ZpR8sYc5HnD4gFjA6uE1oTiQxWy"
GOOD = {
    "TENON_DATABASE_URL": "postgresql://127.0.0.1/tenon",
    "TENON_REDIS_URL": "redis://127.0.0.1:6379/0",
    "TENON_SECRET": GOOD_SECRET,
    "TENON_DB_SECRET": GOOD_SECRET[::-1],
    "TENON_MAIL_URL": "smtp://127.0.0.1:25",
    "TENON_PUBLIC_URL": "https://shop.example",
}


def faults(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(environ)
    return "\n".join(caught.value.faults)


def test_a_complete_environment_is_read_with_defaults() -> None:
    settings = load(GOOD)
    assert settings.production
    assert settings.port == 8000
    assert settings.secret.reveal() == GOOD_SECRET


def test_every_fault_is_named_at_once_with_its_variable() -> None:
    told = faults({"TENON_PORT": "eighty", "TENON_LOG_FORMAT": "xml", "TENON_DB_CONNECTIONS": "1", "TENON_DATABASE_URL": "mysql://x/y"})
    for name in ("TENON_PORT", "TENON_LOG_FORMAT", "TENON_DB_CONNECTIONS", "TENON_DATABASE_URL", "TENON_REDIS_URL", "TENON_SECRET"):
        assert name in told


def test_each_fault_says_what_mends_it() -> None:
    told = faults({"TENON_PORT": "eighty", "TENON_LOG_FORMAT": "xml", "TENON_TRACE_RATIO": "2", "TENON_SECRET_FILE": "/nowhere/secret"})
    assert "TENON_PORT: give it a whole number from 1 to 65535" in told
    assert "TENON_LOG_FORMAT: give it one of json, console" in told
    assert "TENON_TRACE_RATIO: give it a number from 0 to 1" in told
    assert "TENON_SECRET_FILE: /nowhere/secret cannot be read: No such file or directory" in told
    assert "TENON_DATABASE_URL is not set" in told
    assert "Such as postgresql://127.0.0.1:5432/tenon" in told
    assert "Generate one with `python3 -c" in told


def test_a_name_that_resembles_none_is_to_be_removed() -> None:
    assert "TENON_FOO is not a setting: remove it" in faults({**GOOD, "TENON_FOO": "x"})


def test_a_misspelt_environment_is_not_held_to_the_rules_of_production() -> None:
    assert faults({**GOOD, "TENON_ENVIRONMENT": "prod", "TENON_PUBLIC_URL": "http://x"}).count("TENON_") == 1


def test_an_unknown_name_gets_a_did_you_mean() -> None:
    assert "TENON_DATABSE_URL is not a setting: did you mean TENON_DATABASE_URL?" in faults({**GOOD, "TENON_DATABSE_URL": "x"})


def test_names_of_other_programs_are_nobody_s_business() -> None:
    assert load({**GOOD, "PATH": "/bin", "DATABASE_URL": "x"}) == load(GOOD)


@pytest.mark.parametrize("weak", ["k9-tiny", "a" * 64, "please-change-me-before-you-deploy-this-thing"])
def test_production_refuses_a_weak_secret(weak: str) -> None:
    told = faults({**GOOD, "TENON_SECRET": weak})
    assert "TENON_SECRET" in told
    assert weak not in told


def test_development_accepts_a_weak_secret() -> None:
    assert load({**GOOD, "TENON_SECRET": "short", "TENON_ENVIRONMENT": "development"}).secret.reveal() == "short"


def test_production_refuses_the_owner_s_url_and_a_plain_public_url() -> None:
    told = faults({**GOOD, "TENON_MIGRATION_URL": "postgresql://owner@db/tenon", "TENON_PUBLIC_URL": "http://shop.example"})
    assert "TENON_MIGRATION_URL" in told
    assert "TENON_PUBLIC_URL" in told


def test_the_owner_s_url_is_demanded_where_it_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="TENON_MIGRATION_URL"):
        migration_url(GOOD)


def test_a_secret_may_come_from_a_file_but_not_from_two_places(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(GOOD_SECRET + "\n")
    by_file = {**GOOD, "TENON_SECRET_FILE": str(path)}
    assert "not both" in faults(by_file)
    del by_file["TENON_SECRET"]
    assert load(by_file).secret.reveal() == GOOD_SECRET


def test_a_missing_secret_file_is_a_fault_not_a_crash(tmp_path: Path) -> None:
    environ = {**GOOD, "TENON_SECRET_FILE": str(tmp_path / "nowhere")}
    del environ["TENON_SECRET"]
    assert "TENON_SECRET" in faults(environ)


def test_a_list_is_separated_by_commas() -> None:
    assert load({**GOOD, "TENON_MODULES": "catalog, orders"}).modules == ("catalog", "orders")


def test_traces_go_to_an_address_or_nowhere() -> None:
    assert load({**GOOD, "TENON_OTLP_ENDPOINT": ""}).otlp_endpoint == ""
    assert load({**GOOD, "TENON_OTLP_ENDPOINT": "http://127.0.0.1:4318"}).otlp_endpoint == "http://127.0.0.1:4318"
    assert "begin it with http:// or https://" in faults({**GOOD, "TENON_OTLP_ENDPOINT": "127.0.0.1:4318"})
    assert "TENON_TRACE_RATIO" in faults({**GOOD, "TENON_TRACE_RATIO": "1.5"})


@pytest.mark.parametrize(
    "times", [{"TENON_DRAIN_SECONDS": "5"}, {"TENON_NOTICE_SECONDS": "25"}, {"TENON_NOTICE_SECONDS": "8", "TENON_DRAIN_SECONDS": "8"}]
)
def test_the_time_to_notice_an_end_is_a_part_of_the_time_to_drain(times: dict[str, str]) -> None:
    assert "TENON_NOTICE_SECONDS: give it less than TENON_DRAIN_SECONDS" in faults({**GOOD, **times})
    assert load({**GOOD, "TENON_NOTICE_SECONDS": "7", "TENON_DRAIN_SECONDS": "8"}).drain_seconds == 8


def test_a_secret_is_never_shown() -> None:
    assert GOOD_SECRET not in repr(load(GOOD))
    assert GOOD_SECRET not in f"{Secret(GOOD_SECRET)} {Secret(GOOD_SECRET)!r}"


def test_keys_of_different_purposes_are_unrelated() -> None:
    secret = Secret(GOOD_SECRET)
    assert secret.derive("cursor") != secret.derive("token")
    assert secret.derive("cursor") == Secret(GOOD_SECRET).derive("cursor")
