"""The HTTP server around the application: uvicorn on a socket that is already listening."""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Iterator
from time import monotonic
from types import FrameType
from typing import Final

import click
import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from entrypoints.container import compose
from entrypoints.ending import Ending, wishes
from entrypoints.http import create_app
from entrypoints.protocol import bounded
from shared.api.health import Lifecycle
from shared.api.problems import ProblemWriter
from shared.infra.config import Settings
from shared.infra.telemetry import configure_logging

CLOSE: Final = (b"connection", b"close")
LOOK_EVERY_S: Final = 0.02
ROLLED_BACK_S: Final = 5.0
SENT_S: Final = 0.5

log = structlog.get_logger(__name__)


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
    """A signal asks it to end: from that moment on it says that it is not ready, and asks clients for other connections next time.

    New requests are still taken for `notice_s`. Then nobody is let in any more, streams are ended, and requests answered, until
    the time for that is over. What is cut then, or by a second signal, is told so, and the application stops what it started.
    It ends, too, when what runs beside the requests has broken.
    """

    def __init__(
        self, config: uvicorn.Config, lifecycle: Lifecycle, ending: Ending, *, serving: Callable[[], None], notice_s: float = 0.0
    ) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._ending = ending
        self._serving = serving
        self._notice_s = notice_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._lifecycle.stopping()
        self._ending.hear(sig)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals were given to `handle_exit` before, and stay there; none of them is raised again afterwards."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._serving()

    async def on_tick(self, counter: int) -> bool:
        if self.lifespan.error_occurred and not self._ending.asked.is_set():
            self._lifecycle.stopping()
            self._ending.broken()
        if not self._ending.asked.is_set():
            return await super().on_tick(counter)
        if CLOSE not in self.config.encoded_headers:
            self.config.encoded_headers.append(CLOSE)
            await super().on_tick(0)  # when the counter is nought, it takes up the headers
        return self._ending.elapsed >= self._notice_s or self._ending.cut.is_set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("draining", requests=len(self.server_state.tasks), connections=len(self.server_state.connections))
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in self._connections():
            if is_stream(connection):
                connection.transport.close()  # the application is told that its client has gone
            else:
                connection.shutdown()
        await until(lambda: self._ending.left == 0 or not (self.server_state.tasks or self.server_state.connections))
        await self._cut()
        await self.lifespan.shutdown()

    async def _cut(self) -> None:
        """Requests are cancelled, and their transactions rolled back, before the database is closed; then their answers may leave."""
        if requests := list(self.server_state.tasks):
            log.warning("requests_cut", requests=len(requests), after_s=round(self._ending.elapsed, 1))
            for request in requests:
                request.cancel()
            await asyncio.wait(requests, timeout=ROLLED_BACK_S)
        ends = monotonic() + SENT_S
        await until(lambda: not self.server_state.connections or monotonic() > ends)
        for connection in self._connections():
            connection.transport.abort()

    def _connections(self) -> list[HttpToolsProtocol]:
        return [each for each in self.server_state.connections if isinstance(each, HttpToolsProtocol)]


async def until(done: Callable[[], bool]) -> None:
    while not done():  # noqa: ASYNC110 - uvicorn's sets tell nobody that they are empty
        await asyncio.sleep(LOOK_EVERY_S)


def is_stream(connection: HttpToolsProtocol) -> bool:
    """Whether it sends an answer of unknown length, which has no end that could be waited for."""
    cycle: RequestResponseCycle | None = connection.cycle
    return cycle is not None and cycle.chunked_encoding is True and not cycle.response_complete


def serve_on(listener: socket.socket, settings: Settings, *, with_worker: bool, serving: Callable[[], None]) -> None:
    """Serve until a signal ends it: what was begun may end, then the lifespan stops what it started.

    `serving` is called as soon as requests are answered. Raises SystemExit when it did not end well.
    """
    configure_logging(settings.log_format, settings.log_level, disclosing=settings.environment == "development")
    lifecycle, ending = Lifecycle(), Ending(settings.drain_seconds)
    app = create_app(compose(settings), with_worker=with_worker, lifecycle=lifecycle, ending=ending)
    http = bounded(settings.arrival_seconds, ProblemWriter(settings.public_url))
    config = uvicorn.Config(
        app, loop="uvloop", http=http, timeout_keep_alive=settings.keep_alive_seconds, ws="none", lifespan="on", log_config=None,
        access_log=False, server_header=False,
        proxy_headers=False,
    )  # fmt: skip
    server = Server(config, lifecycle, ending, serving=serving, notice_s=settings.notice_seconds)
    for number in wishes():
        signal.signal(number, server.handle_exit)  # from here on it is a wish, and no exception in the middle of anything
    server.run([listener])
    log.info("stopped", after_s=round(ending.elapsed, 1))
    if ending.status:
        raise SystemExit(ending.status)
