"""The other end of a pool's pipes: computes what it is asked, one thing after the other, until nobody asks any more."""

import ctypes
import os
import pickle
import signal
import sys
import threading
from queue import Empty, SimpleQueue
from struct import Struct
from typing import BinaryIO, Final

LENGTH: Final = Struct("!Q")
"""Before each question and each answer: how many bytes it has."""

IDLE_S: Final = 60.0
PR_SET_PDEATHSIG: Final = 1
"""Of Linux' <sys/prctl.h>: the signal that the kernel sends to this process when the one that started it has ended."""


def read(pipe: BinaryIO, questions: SimpleQueue[bytes]) -> None:
    """In a thread of its own, so that this process ends with the one that asks, also in the middle of most computations."""
    while len(head := pipe.read(LENGTH.size)) == LENGTH.size:
        questions.put(pipe.read(LENGTH.unpack(head)[0]))
    os._exit(0)


def answer(question: bytes) -> bytes:
    """Whether it went well, and the result, or what it was that was raised."""
    try:
        function, argument = pickle.loads(question)  # noqa: S301 - from the process that started this one, over a pipe of their own
        return pickle.dumps((True, function(argument)))
    except Exception as error:  # noqa: BLE001 - told to the one who asked
        return pickle.dumps((False, f"{type(error).__qualname__} in {type(error).__module__}"))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks, and decides when this ends
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # also in a computation that lets no other thread have a turn
    os.nice(5)  # requests go first
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a computation prints is no answer
    questions: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=read, args=(sys.stdin.buffer, questions), daemon=True).start()
    while True:
        try:
            said = answer(questions.get(timeout=IDLE_S))
        except Empty:
            return
        answers.write(LENGTH.pack(len(said)) + said)
        answers.flush()


if __name__ == "__main__":
    main()
