"""Answers Prometheus on a port of its own: everything that is measured, in its text format."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, GCCollector, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from shared.infra.metrics.instruments import Family

log = structlog.get_logger(__name__)

ANSWER_S: Final = 5.0
MAX_HEAD_BYTES: Final = 16 * 1024


class NoPort(Exception):
    """The port is taken, or not to be had. (An OSError would be taken for a database that cannot be reached.)"""


Read = Callable[[], Awaitable[Iterable[Family]]]


class Exposition:
    """A loop that answers `GET /metrics` with the families that `read` finds, and with what the operating system says of the process.

    It speaks just enough HTTP for that: a request is answered and its connection closed.
    """

    def __init__(self, host: str, port: int, read: Read) -> None:
        self._host = host
        self._port = port
        self._read = read
        unregistered = CollectorRegistry()
        self._process: tuple[Collector, ...] = ProcessCollector(registry=unregistered), GCCollector(unregistered)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set and what was asked before is answered; raises NoPort."""
        async with asyncio.TaskGroup() as group:

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                group.create_task(self._serve(reader, writer))

            async with await self._listen(connected):
                await stop.wait()

    async def text(self) -> bytes:
        """The exposition as of now. Copying is for the loop; writing it out, which takes some milliseconds, for a thread."""
        families = [_converted(family) for family in await self._read()]
        return await asyncio.to_thread(generate_latest, _Collected([*families, *self._collect_process()]))

    async def _listen(self, connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]) -> asyncio.Server:
        try:
            return await asyncio.start_server(connected, self._host, self._port, limit=MAX_HEAD_BYTES)
        except OSError as error:
            raise NoPort(f"{self._host} port {self._port}: {error.strerror}") from None

    def _collect_process(self) -> Iterator[Metric]:
        for collector in self._process:
            yield from collector.collect()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(head.split(b"\r\n", 1)[0]))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or never asked
        except Exception:
            log.exception("scrape_failed")
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> bytes:
        match line.split(b" "):
            case [b"GET", target, _] if target.split(b"?")[0] == b"/metrics":
                return _response("200 OK", CONTENT_TYPE_PLAIN_0_0_4, await self.text())
            case _:
                return _response("404 Not Found", "text/plain; charset=utf-8", b"GET /metrics\n")


class _Collected(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _response(status: str, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def _converted(family: Family) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, spread in family.spreads:
            histogram.add_metric(labels, spread.up_to, spread.sum)
        return histogram
    single = (CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily)(family.name, family.help, labels=family.labels)
    for labels, value in family.points:
        single.add_metric(labels, value)
    return single
