"""What the system says of a worker: the time that it has taken, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_MOST_SHARED = 3
"""A child's processor time is that of at most so many threads at once. More, and one that fights with itself for a
single processor would look as if the machine gave it none."""


@dataclass(frozen=True)
class Usage:
    """What a child has taken so far, in seconds.

    Attributes:
        cpu: processor time, over all its threads.
        asked: wall time in which the parent waited for its answers.
        is_ready: whether one of its threads runs, or would if it had a processor.
        ran: processor time of each thread, by the thread's number.
        queued: how long each thread had to wait for a processor, as far as the system has noted it: what it waits now
            is added when it runs again.
    """

    cpu: float
    asked: float
    is_ready: bool = False
    ran: Mapping[int, float] = field(default_factory=dict)
    queued: Mapping[int, float] = field(default_factory=dict)

    @property
    def longest_queued(self) -> float:
        """What the thread had to wait that had to wait most."""
        return max(self.queued.values(), default=0.0)

    def had_since(self, before: Usage, passed: float, threads: int) -> float:
        """Of the time that has passed since ``before``, how much the child had for itself, computing or sleeping.

        Threads wait for each other, so what the unluckiest of them had to wait, all had to. Where what it waited for
        was another of the child's own, that one computed, which counts.

        Args:
            threads: that the child may compute with at once.
        """
        together = (self.cpu - before.cpu) / min(threads, _MOST_SHARED)
        alone = _largest_growth(before.ran, self.ran)
        slept = 0.0 if self.is_ready else passed - _largest_growth(before.queued, self.queued)
        return min(passed, max(together, alone, slept))


def _largest_growth(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    return max((value - before.get(thread, 0.0) for thread, value in after.items()), default=0.0)


@dataclass(frozen=True)
class Ended:
    """How a worker ended.

    Attributes:
        status: as ``os.waitpid`` gives it.
        seconds: processor time that it had taken, over all its threads.
        ended_for: the finding for which the nursery ended it; None if the nursery did not.
    """

    status: int
    seconds: float
    ended_for: str | None
