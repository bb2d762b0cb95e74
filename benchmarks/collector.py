"""A collector of traces that keeps nothing, in a process of its own: `python -m benchmarks.collector PORT`."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.processes import serving
from entrypoints.development.children import free_port


class Taking(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Nobody wants to read it."""

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()


@asynccontextmanager
async def collecting() -> AsyncIterator[str]:
    """Its address."""
    port = free_port()
    async with serving([sys.executable, "-m", "benchmarks.collector", str(port)], {}, port, "/"):
        yield f"http://127.0.0.1:{port}"


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Taking).serve_forever()
