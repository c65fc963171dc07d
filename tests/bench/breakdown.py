"""Grades as ``python -m grader`` does, and says where the time went: a program of its own for ``tests.bench grade``.

    python -m tests.bench.breakdown STARTED FILE grade ...

STARTED is the time (seconds since the epoch) at which the process was asked for, FILE is where the seconds of each part
go, as JSON; the other arguments are the grader's. What one part does within another counts for itself alone.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

IMPORTS, WAITING, REST = "imports", "waiting for the sandbox", "the rest"
UNIT_CHECKS, OUTCOMES = "unit checks", "outcomes, all else"
START, TRAINING = "data and clean start", "training"
EVALUATION, PICTURES = "evaluation", "pictures"
PARTS = (IMPORTS, WAITING, UNIT_CHECKS, START, TRAINING, EVALUATION, PICTURES, OUTCOMES, REST)


class Stopwatch:
    """Seconds by part; one part runs at a time, and the one around it stands still meanwhile."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._running = [REST]
        self._since = time.perf_counter()

    def _account(self) -> None:
        now = time.perf_counter()
        self.seconds[self._running[-1]] += now - self._since
        self._since = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._account()
        self._running.append(name)
        try:
            yield
        finally:
            self._account()
            self._running.pop()

    def watch(self, owner: Any, function: str, name: str) -> None:
        """From now on, each call of this function or method is that part."""
        original = getattr(owner, function)

        def watched(*arguments: Any, **named: Any) -> Any:
            with self.part(name):
                return original(*arguments, **named)

        setattr(owner, function, watched)


def _watch_grading(stopwatch: Stopwatch) -> None:
    from grader.grading import Grading
    from grader.outcome import Outcome
    from grader.parts import invisible_trigger_attack as attack
    from grader.sandbox import Nursery

    stopwatch.watch(Nursery, "await_ready", WAITING)
    for function, name in (
        ("load_data", START), ("clean_start", START), ("train_backdoor", TRAINING), ("_evaluate", EVALUATION),
        ("_draw", PICTURES),
    ):  # fmt: skip
        stopwatch.watch(attack, function, name)
    outcome = Grading.outcome

    def watched(self: Grading, check_id: str) -> Outcome:
        with stopwatch.part(OUTCOMES if ".outcome." in check_id else UNIT_CHECKS):
            return outcome(self, check_id)

    setattr(Grading, "outcome", watched)  # noqa: B010 mypy takes an assignment for another signature


def main(started: float, file: Path, arguments: list[str]) -> int:
    stopwatch = Stopwatch()
    stopwatch.seconds[IMPORTS] = time.time() - started
    with stopwatch.part(IMPORTS):
        from grader.isolation import available_isolation
        from grader.sandbox import nursery

        nursery(
            available_isolation()[0]
        )  # first, as the command line does: it imports torch at the same time
        import grader.report_files  # noqa: F401 what the command line imports next
        from grader.__main__ import main as grader_main

        _watch_grading(stopwatch)
    with stopwatch.part(REST):
        status = grader_main(arguments)
    file.write_text(json.dumps(stopwatch.seconds), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
