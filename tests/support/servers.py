"""The servers that tests run on: the ones given by URL, else by Docker, else embedded; `TEST_DB` forces one kind."""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import get_docker_host
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from entrypoints.development.embedded import EmbeddedPostgres, EmbeddedValkey

Kind = Literal["url", "docker", "embedded"]

DATABASE = "TEST_DATABASE_URL"
REDIS = "TEST_REDIS_URL"
MAX_CONNECTIONS = 400


class WrongChoice(Exception):
    """TEST_DB forces what cannot be had; falling back silently would let a pipeline test something else."""


@dataclass(frozen=True, slots=True)
class Server:
    """`url` logs in as a superuser (Postgres), or as the default user of database 0 (Redis)."""

    kind: Kind
    url: str
    stop: Callable[[], object]


def choose(environ: Mapping[str, str]) -> Kind:
    """Which kind of Postgres `environ` asks for; raises WrongChoice."""
    match environ.get("TEST_DB"):
        case None if DATABASE in environ:
            return "url"
        case None:
            return "docker" if docker_answers() else "embedded"
        case "url" if DATABASE not in environ:
            raise WrongChoice(f"TEST_DB=url needs {DATABASE}")
        case "docker" if not docker_answers():
            raise WrongChoice("TEST_DB=docker, and no Docker engine answers")
        case "url" | "docker" | "embedded" as forced:
            return forced
        case unknown:
            raise WrongChoice(f"TEST_DB={unknown}: use url, docker or embedded")


def start_postgres() -> Server:
    """Call `stop` of what this answers at the end, from the main thread."""
    kind = choose(os.environ)
    if kind == "url":
        return Server(kind, os.environ[DATABASE], lambda: None)
    if kind == "docker":
        command = f"postgres -c max_connections={MAX_CONNECTIONS} -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        container = PostgresContainer("postgres:18-alpine", username="postgres", dbname="postgres", driver=None, command=command).start()
        return Server(kind, container.get_connection_url(), container.stop)
    server = EmbeddedPostgres(max_connections=MAX_CONNECTIONS).start()
    return Server(kind, server.url(), server.stop)


def start_valkey() -> Server:
    """By TEST_REDIS_URL; in Docker only where TEST_DB forces Docker, as the wheel's server is the same one and faster to start."""
    if url := os.environ.get(REDIS):
        return Server("url", url, lambda: None)
    if os.environ.get("TEST_DB") == "docker":
        ready = LogMessageWaitStrategy("Ready to accept connections")
        container = DockerContainer("valkey/valkey:9-alpine", ports=[6379], _wait_strategy=ready).start()
        return Server("docker", f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0", container.stop)
    server = EmbeddedValkey().start()
    return Server("embedded", server.url(), server.stop)


def docker_answers(timeout_s: float = 1.0) -> bool:
    """Ask the engine's socket itself: the docker client may be installed where no engine runs, and leaks a socket there."""
    engine = urlsplit(get_docker_host() or "unix:///var/run/docker.sock")
    if engine.scheme in ("ssh", "npipe") or engine.port == 2376:
        return True  # configured by hand, and spoken to only by the client
    try:
        with _connect(engine.scheme, engine.path, engine.hostname, engine.port, timeout_s) as connection:
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def _connect(scheme: str, path: str, host: str | None, port: int | None, timeout_s: float) -> socket.socket:
    if scheme not in ("unix", "http+unix"):
        return socket.create_connection((host or "127.0.0.1", port or 2375), timeout_s)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection
