"""CPU-heavy work in processes of its own, so that no event loop waits for it: few, fresh interpreters, replaced when one fails."""

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import Any, Final, TypeVar

from shared.infra.db.commit import undisturbed
from shared.infra.tasks.child import LENGTH

A = TypeVar("A")
R = TypeVar("R")

AT_ONCE: Final = max(1, (os.cpu_count() or 1) - 1)
"""One core is left to the event loops."""


class ProcessDied(Exception):
    """The process that computed has ended without an answer: its function killed it, or the system did."""


class ComputationFailed(Exception):
    """The function raised; the message names the type of what it raised."""


class Processes:
    """At most `at_once` computations run at a time; others wait. A process that is not used for a minute ends by itself."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._idle: list[Process] = []

    async def run(self, function: Callable[[A], R], argument: A, *, timeout_s: float) -> R:
        """`function(argument)`; both, and the result, are pickled, so that the function is one of a module's top level.

        Whoever is cancelled, or waits for longer than `timeout_s` for the answer, has the process killed. Raises TimeoutError,
        ProcessDied, ComputationFailed.
        """
        question = pickle.dumps((function, argument))
        async with self._places:
            process, reused = await self._process()
            try:
                well, answer = await self._ask(process, question, timeout_s)
            except ProcessDied:
                if not reused:
                    raise
                process = await _start()  # the old one may have ended of age; what was asked has no effects, and is asked again
                well, answer = await self._ask(process, question, timeout_s)
            self._idle.append(process)
        if not well:
            raise ComputationFailed(answer)
        result: R = answer
        return result

    async def close(self) -> None:
        """End the processes that compute nothing at the moment."""
        while self._idle:
            await undisturbed(_end(self._idle.pop()))

    async def _process(self) -> tuple[Process, bool]:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process, True
            await undisturbed(_end(process))
        return await _start(), False

    async def _ask(self, process: Process, question: bytes, timeout_s: float) -> tuple[bool, Any]:
        try:
            async with asyncio.timeout(timeout_s):
                answer: tuple[bool, Any] = pickle.loads(await _exchange(process, question))  # noqa: S301 - from a process of ours
                return answer
        except BaseException:
            await undisturbed(_end(process))
            raise


async def _start() -> Process:
    """With nothing in its environment but the way to the code: no secret is there to be found."""
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "shared.infra.tasks.child", stdin=PIPE, stdout=PIPE, env=path)


async def _exchange(process: Process, question: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("it was started with pipes")
    try:
        process.stdin.write(LENGTH.pack(len(question)) + question)
        await process.stdin.drain()
        (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        return await process.stdout.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise ProcessDied(f"exit code {process.returncode}") from error


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()
