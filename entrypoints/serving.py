"""The HTTP server around the application: uvicorn on a socket that is already listening."""

import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Iterator
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
            if error.errno == errno.EADDRINUSE:
                raise click.ClickException(f"port {port} is taken by another program: choose another one, such as {port + 1}") from None
            raise click.ClickException(f"{host} port {port}: {error.strerror}") from None
        yield listener


class Server(uvicorn.Server):
    """At the signal, before requests are let run out, nobody is to be sent here any more.

    A second Ctrl-C cuts the requests short, and the application still stops what it started.
    """

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, serving: Callable[[], None]) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._serving = serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._serving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._lifecycle.stopping()
        super().handle_exit(sig, frame)


def serve_on(listener: socket.socket, settings: Settings, *, with_worker: bool, serving: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM: open requests may end, then the lifespan stops what it started.

    `serving` is called as soon as requests are answered.
    """
    configure_logging(settings.log_format, settings.log_level, disclosing=settings.environment == "development")
    lifecycle = Lifecycle()
    app = create_app(compose(settings), with_worker=with_worker, lifecycle=lifecycle)
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", ws="none", lifespan="on", log_config=None, access_log=False, server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=GRACE_S,
    )  # fmt: skip
    server = Server(config, lifecycle, serving)
    signal.signal(signal.SIGINT, server.handle_exit)  # from here on Ctrl-C is a wish, and no exception in the middle of anything
    server.run([listener])
