"""The process of a server whose only route streams without an end; for tests that ask it to end."""

import asyncio
import signal
import sys
from typing import Any

import uvicorn

from entrypoints.ending import Ending
from entrypoints.serving import Server, listening
from shared.api.health import Lifecycle


def say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def endless(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})
        return
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)
    say("the stream has ended")


def main() -> None:
    lifecycle, ending = Lifecycle(), Ending(drain_s=3600.0)
    config = uvicorn.Config(endless, loop="uvloop", http="httptools", lifespan="on", log_config=None, access_log=False)
    server = Server(config, lifecycle, ending, serving=lambda: None)
    signal.signal(signal.SIGTERM, server.handle_exit)
    with listening("127.0.0.1", 0) as listener:
        say(str(listener.getsockname()[1]))
        server.run([listener])
    sys.exit(ending.status)


if __name__ == "__main__":
    main()
