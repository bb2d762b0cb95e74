"""The HTTP server around the application: uvicorn on a socket that is already listening."""

import contextlib
import errno
import socket
from collections.abc import Iterator
from types import FrameType
from typing import Final

import click
import uvicorn

from entrypoints.container import compose
from entrypoints.http import create_app
from shared.api.health import Lifecycle
from shared.infra.config import Settings
from shared.infra.telemetry import configure_logging

GRACE_S: Final = 20


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Taken before anything else is started, and kept: nobody else can have it in between."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(2048)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise click.ClickException(f"port {port} is taken by another program: choose another one, such as PORT={port + 1}") from None
        yield listener


class Server(uvicorn.Server):
    """At the signal, before requests are let run out, nobody is to be sent here any more."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._lifecycle.stopping()
        super().handle_exit(sig, frame)


def serve_on(listener: socket.socket, settings: Settings, *, with_worker: bool) -> None:
    """Serve until SIGINT or SIGTERM: open requests may end, then the lifespan stops what it started."""
    configure_logging(settings.log_format, settings.log_level)
    lifecycle = Lifecycle()
    app = create_app(compose(settings), with_worker=with_worker, lifecycle=lifecycle)
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", ws="none", lifespan="on", log_config=None, access_log=False, server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=GRACE_S,
    )  # fmt: skip
    Server(config, lifecycle).run([listener])
