"""Which processors the threads of a training step run on, where a child's threads need every one there is.

Parent and child take turns, but not quite: the parent looks after its own part of a step while the child computes. So
each of the child's threads is bound to a processor, and the parent stays on the last one: woken on the first, it would
hold up the very thread that it has just asked. With processors to spare, Linux has better places for all of them.

This module runs on both sides.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def available() -> set[int]:
    """The processors that this thread may run on; none where the system does not say."""
    return os.sched_getaffinity(0) if sys.platform == "linux" else set()


def run_on(processors: set[int]) -> None:
    """Let this thread run on these, as ``available`` gave them to another."""
    if sys.platform == "linux":
        with contextlib.suppress(
            OSError
        ):  # a container's may change at any moment, and this is for speed alone
            os.sched_setaffinity(0, processors)


def _are_all_needed(threads: int) -> bool:
    return threads > 1 and len(available()) == threads


@contextlib.contextmanager
def beside_a_child(threads: int, *, own: int) -> Iterator[None]:
    """The parent's side: keep this thread out of the way of a child with so many threads.

    Args:
        own: threads of the parent; with several, which would all inherit its place, it stays where it is.
    """
    mine = available()
    if own > 1 or not _are_all_needed(threads):
        yield
        return
    run_on({max(mine)})
    try:
        yield
    finally:
        run_on(mine)


def give_each_thread_one(threads: int) -> None:
    """The child's side: bind torch's threads.

    They work on a step together. Whenever something else took a processor for a moment (the nursery looks at its
    workers 20 times a second), Linux put both of two threads on the other one, and the step took up to twice as long.
    """
    if not _are_all_needed(threads):
        return
    import torch

    others = set(os.listdir("/proc/self/task"))
    torch.ones(2**20).add_(1)  # the first work for all of them starts them
    started = sorted(int(task) for task in set(os.listdir("/proc/self/task")) - others)
    for task, processor in zip((0, *started), sorted(available()), strict=False):
        os.sched_setaffinity(task, {processor})
