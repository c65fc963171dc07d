"""Peak memory of a process and all below it, as the system shares it out (PSS: a shared page counts in parts)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from tests.processes import descendants


class PeakPss:
    """Looks at the memory ten times a second, in a thread, from now until ``stop``.

    Args:
        root: gives the pid at the top; None where there is none at the moment.
    """

    def __init__(self, root: Callable[[], int | None]) -> None:
        self._root = root
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._done.wait(0.1):
            if (pid := self._root()) is not None:
                self._peak = max(self._peak, sum(_pss(member) for member in descendants(pid)))

    def stop(self) -> int:
        """The peak so far, in bytes."""
        self._done.set()
        self._thread.join()
        return self._peak


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
