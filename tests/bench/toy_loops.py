"""Loops for ``test_steps.py``, in a module that a new process can import."""

import time

from tests.bench.steps import Pause


def sleeps_four_times(seed: int, pause: Pause) -> None:
    time.sleep(seed)  # making ready is not part of it
    pause()
    for _ in range(4):
        time.sleep(0.1)
        pause()
    time.sleep(seed)  # nor is clearing away


def sleeps_once(_: int, pause: Pause) -> None:
    pause()
    time.sleep(0.1)
    pause()


def fails(_: int, pause: Pause) -> None:
    pause()
    raise RuntimeError("on purpose")
