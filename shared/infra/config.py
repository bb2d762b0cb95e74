"""Settings: one frozen Struct read from the environment, every fault reported at once."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from shared.infra.secrets import Secret

PREFIX = "TENON_"
MIGRATION_URL = "TENON_MIGRATION_URL"
GENERATE = 'generate one with `python3 -c "import secrets; print(secrets.token_urlsafe(48))"`'
EXIT_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h: what a process that refuses its settings ends with."""
NOTICE_S = 5
DRAIN_S = 25


BEGINNINGS = {
    "database_url": ("postgresql://",),
    "redis_url": ("redis://", "rediss://", "unix://"),
    "mail_url": ("smtp://", "smtps://", "file://"),
    "otlp_endpoint": ("http://", "https://"),
}
MAY_BE_EMPTY = {"otlp_endpoint"}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Each field is the variable `TENON_<FIELD>`; a secret may be given as a file by `TENON_<FIELD>_FILE`."""

    environment: Annotated[
        Literal["development", "test", "production"], Meta(description="Production refuses weak secrets and a plain public URL.")
    ] = "production"
    database_url: Annotated[
        str,
        Meta(
            description="The Postgres server and database; each module logs in as its own role with a derived password.",
            examples=["postgresql://127.0.0.1:5432/tenon"],
        ),
    ]
    db_secret: Annotated[Secret, Meta(description="The passwords of the runtime roles derive from it.")]
    secret: Annotated[Secret, Meta(description="Root secret: token, cursor and link keys derive from it.")]
    redis_url: Annotated[
        str,
        Meta(description="A Redis-compatible server; when it is gone Tenon is degraded, not down.", examples=["redis://127.0.0.1:6379/0"]),
    ]
    modules: Annotated[tuple[str, ...], Meta(description="The modules that this process hosts, separated by commas; empty: all.")] = ()
    host: Annotated[str, Meta(description="The address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="The port to listen on.")] = 8000
    metrics_port: Annotated[
        int, Meta(ge=0, le=65535, description="The port on the same address where Prometheus finds metrics; 0: there are none.")
    ] = 0
    public_url: Annotated[
        str,
        Meta(
            description="What links in mails and problem types begin with; never taken from a request.", examples=["https://shop.example"]
        ),
    ] = "http://127.0.0.1:8000"
    cors_origins: Annotated[tuple[str, ...], Meta(description="Exact origins of browsers that may call the API, separated by commas.")] = ()
    db_connections: Annotated[int, Meta(ge=4, le=500, description="Open connections of this process, over all modules.")] = 24
    request_seconds: Annotated[int, Meta(ge=1, le=120, description="How long a request may take, in seconds.")] = 15
    arrival_seconds: Annotated[
        int, Meta(ge=1, le=120, description="How long the headers of a request may take to arrive, and then its body, in seconds.")
    ] = 10
    queue_milliseconds: Annotated[
        int, Meta(ge=1, le=60_000, description="How long work may stand in a queue before requests are refused, in milliseconds.")
    ] = 5
    keep_alive_seconds: Annotated[
        int, Meta(ge=1, le=3600, description="How long an idle connection is kept, in seconds; longer than a load balancer keeps it.")
    ] = 75
    trusted_proxies: Annotated[
        int,
        Meta(ge=0, le=10, description="How many proxies of our own each request passes; so far from its end X-Forwarded-For is believed."),
    ] = 0
    rate_scale: Annotated[
        float, Meta(ge=0.01, le=1_000_000, description="Multiplies every rate limit: how many requests one caller may make in a time.")
    ] = 1.0
    mail_url: Annotated[
        str,
        Meta(
            description="Where mail goes: an SMTP server, or a folder for development.",
            examples=["smtp://127.0.0.1:25", "file:///var/spool/tenon"],
        ),
    ]
    mail_from: Annotated[str, Meta(description="The sender of every mail.")] = "Tenon <shop@tenon.invalid>"
    password_memory_kib: Annotated[int, Meta(ge=8, le=1_048_576, description="Argon2id memory per hash, in KiB.")] = 65536
    reservation_seconds: Annotated[int, Meta(ge=30, le=86400, description="How long completing a cart may hold stock, in seconds.")] = 900
    notice_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=60,
            description="Seconds for which a process that was asked to end still takes requests, not ready any more: balancers notice.",
        ),
    ] = NOTICE_S
    drain_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=3600,
            description="Seconds from the wish to end until what was begun is cut; let the process have ten more before it is killed.",
        ),
    ] = DRAIN_S
    otlp_endpoint: Annotated[
        str,
        Meta(
            description="The OTLP/HTTP collector that traces go to; empty: none go. More by OpenTelemetry's OTEL_EXPORTER_OTLP_….",
            examples=["http://127.0.0.1:4318"],
        ),
    ] = ""
    trace_ratio: Annotated[
        float, Meta(ge=0, le=1, description="The share of requests that are traced, where the caller has not decided it.")
    ] = 0.05
    log_format: Annotated[Literal["json", "console"], Meta(description="One JSON object per line, or lines for people.")] = "json"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="The lowest level that is logged.")] = "info"

    @property
    def production(self) -> bool:
        return self.environment == "production"


class ConfigurationError(Exception):
    """`faults` are sentences that name the variable and the fix."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def variable(field: str) -> str:
    return PREFIX + field.upper()


def process_environment() -> Mapping[str, str]:
    return os.environ  # noqa: TID251 - the one place that reads it


def use_current_conventions() -> None:
    """OpenTelemetry's instrumentations read the generation of their attributes' names from the environment and nowhere else."""
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "database,http")  # noqa: TID251 - the one place that knows it


def load(environ: Mapping[str, str]) -> Settings:
    """Read and check the settings; raises ConfigurationError with every fault at once."""
    faults = _unknown_names(environ)
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        try:
            text = _text(environ, field.name, secret=_is_secret(field.type))
            if text is not None:
                values[field.name] = _parse(text, field.type)
            elif field.required:
                faults.append(f"{variable(field.name)} is not set: {_description(field.type)}{_suggestion(field.type)}")
        except msgspec.ValidationError:
            faults.append(f"{variable(field.name)}: give it {allowed(field.type)}")
        except OSError as error:
            faults.append(f"{variable(field.name)}_FILE: {error.filename} cannot be read: {error.strerror}")
        except ValueError as error:
            faults.append(f"{variable(field.name)}: {error}")
    faults += _contradictions(values, environ)
    if faults:
        raise ConfigurationError(faults)
    return Settings(**values)


def migration_url(environ: Mapping[str, str]) -> str:
    """The owner's URL, for `tenon db` alone; raises ConfigurationError."""
    if url := environ.get(MIGRATION_URL):
        return url
    raise ConfigurationError([f"{MIGRATION_URL} is not set: give the URL of a role that may create schemas and roles"])


def _unknown_names(environ: Mapping[str, str]) -> list[str]:
    fields = msgspec.structs.fields(Settings)
    known = {variable(f.name) for f in fields} | {variable(f.name) + "_FILE" for f in fields if _is_secret(f.type)} | {MIGRATION_URL}
    faults = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], n=1)
            faults.append(f"{name} is not a setting: " + (f"did you mean {PREFIX}{near[0]}?" if near else "remove it"))
    return faults


def _text(environ: Mapping[str, str], field: str, *, secret: bool) -> str | None:
    name = variable(field)
    if secret and (path := environ.get(name + "_FILE")):
        if name in environ:
            raise ValueError(f"set it or {name}_FILE, not both")
        return Path(path).read_text(encoding="utf-8").strip()
    return environ.get(name)


def _parse(text: str, annotation: Any) -> Any:
    if _is_secret(annotation):
        return Secret(text)
    value: Any = [part.strip() for part in text.split(",") if part.strip()] if _bare(annotation) == tuple[str, ...] else text
    return msgspec.convert(value, annotation, strict=False)


def _contradictions(values: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    faults = [
        f"{variable(field)}: begin it with {' or '.join(beginnings)}"
        for field, beginnings in BEGINNINGS.items()
        if field in values and (values[field] or field not in MAY_BE_EMPTY) and not values[field].lower().startswith(beginnings)
    ]
    if values.get("notice_seconds", NOTICE_S) >= values.get("drain_seconds", DRAIN_S):
        faults.append(f"{variable('notice_seconds')}: give it less than {variable('drain_seconds')}, of which it is a part")
    if values.get("environment") != "production" and variable("environment") in environ:
        return faults
    faults += [
        f"{variable(field)} {weakness}: {GENERATE}"
        for field in ("secret", "db_secret")
        if field in values and (weakness := values[field].weakness())
    ]
    if MIGRATION_URL in environ:
        faults.append(f"{MIGRATION_URL} is for `tenon db` alone: a production server must not know the owner's password")
    if not values.get("public_url", "http:").startswith("https://"):
        faults.append(f"{variable('public_url')}: production needs the shop's https:// address")
    return faults


def _bare(annotation: Any) -> Any:
    return annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation


def _is_secret(annotation: Any) -> bool:
    return _bare(annotation) is Secret


def allowed(annotation: Any) -> str:
    """What a setting's value may be: `a whole number from 1 to 65535`, `one of json, console`."""
    if _is_secret(annotation):
        return "a secret"
    bare = _bare(annotation)
    if get_origin(bare) is Literal:
        return f"one of {', '.join(get_args(bare))}"
    bounds = {name: bound for meta in annotation.__metadata__ for name in ("ge", "le") if (bound := getattr(meta, name, None)) is not None}
    if bare in (int, float):
        return f"a {'whole ' if bare is int else ''}number from {bounds['ge']} to {bounds['le']}"
    return "a list" if get_origin(bare) is tuple else "text"


def _suggestion(annotation: Any) -> str:
    if _is_secret(annotation):
        return f" {GENERATE[0].upper()}{GENERATE[1:]}"
    examples = next((meta.examples for meta in annotation.__metadata__ if isinstance(meta, Meta) and meta.examples), None)
    return f" Such as {examples[0]}" if examples else ""


def _description(annotation: Any) -> str:
    return next((m.description for m in annotation.__metadata__ if isinstance(m, Meta) and m.description), "")
