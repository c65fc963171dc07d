"""What the system says of a worker: the time that it has taken, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """What a child has taken so far, in seconds.

    Attributes:
        cpu: processor time, over all its threads.
        queued: how long its main thread had to wait for a processor, as far as the system has noted it: what it waits
            now is added when it runs again.
        asked: wall time in which the parent waited for its answers.
        is_ready: whether its main thread runs, or would if it had a processor.
    """

    cpu: float
    queued: float
    asked: float
    is_ready: bool = False

    def had_since(self, before: Usage, passed: float) -> float:
        """Of the time that has passed since ``before``, how much the child had for itself, computing or sleeping.

        What its other threads computed counts as well: they may be what its main thread had to wait for.
        """
        computed = self.cpu - before.cpu
        slept = 0.0 if self.is_ready else passed - (self.queued - before.queued)
        return min(passed, max(computed, slept))


@dataclass(frozen=True)
class Ended:
    """How a worker ended.

    Attributes:
        status: as ``os.waitpid`` gives it.
        seconds: processor time that it had taken, over all its threads.
        threads: it was killed for the number of its threads.
    """

    status: int
    seconds: float
    threads: bool
