"""Memory that the parent and one worker share: arrays are copied into it once and out of it once.

Through a socket the kernel carries them in small pieces and wakes the reader for each, which took a tenth of a training
step. Frames still go through the socket (``wire.py``); only their arrays lie in here.

The worker can write into all of it at any moment, also while the parent reads. So what is read is copied first, and
only the copy is looked at. The memory's size is sealed: a worker that could cut it off would kill the parent.

This module runs on both sides; it needs NumPy and nothing else.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Sequence

import numpy as np

CAPACITY = 2**20
"""Bytes each way: enough for a step of part 1, whose weights and images are 650 KB."""


def new_descriptor() -> int | None:
    """A descriptor of such memory, for ``SharedMemory`` on both sides; None where the system has none (not Linux)."""
    if sys.platform != "linux":
        return None
    import fcntl  # Windows has none, and --in-process works there

    descriptor = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 2 * CAPACITY)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor


class SharedMemory:
    """One side's view.

    Args:
        descriptor: of ``new_descriptor``; the caller closes it.
        is_parent: the parent writes where the worker reads, and the other way round.
    """

    def __init__(self, descriptor: int, *, is_parent: bool) -> None:
        halves = np.frombuffer(mmap.mmap(descriptor, 2 * CAPACITY), np.uint8).reshape(2, CAPACITY)
        self._outgoing, self._incoming = halves if is_parent else halves[::-1]

    def write(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Put these one behind the other; together at most ``CAPACITY`` bytes."""
        offset = 0
        for buffer in buffers:
            data = np.frombuffer(buffer, np.uint8)
            self._outgoing[offset : offset + data.size] = data
            offset += data.size

    def read(self, count: int) -> np.ndarray:
        """A copy of the first ``count`` bytes, at most ``CAPACITY``, that the other side has written."""
        return self._incoming[:count].copy()
