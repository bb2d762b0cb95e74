"""A dispatcher in a process of its own, to be killed or frozen: `python -m tests.chassis.events.listening URL`.

What it does with an event, its note says: `kill` ends the process in the middle of it, `stop` says so and waits for a line on
standard input.
"""

import asyncio
import os
import signal
import sys

from shared.domain.events import Delivery
from shared.infra.events.subscription import On, database
from shared.infra.worker import Worker
from tests.chassis.two_modules import Keeping, Seen, connect, keeper


async def handle(work: Keeping, delivery: Delivery[Seen]) -> None:
    await work.note(delivery)
    match delivery.data.note:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            sys.stdout.write("in the middle\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.readline)
            await work.note(delivery)


async def main(url: str) -> None:
    subscription = database("keeper.things", "maker", {"maker.made": On(Seen, handle)})
    await Worker([keeper(connect(url), subscription)]).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
