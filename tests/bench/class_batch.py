"""What a class costs: start-up, cost a submission beyond its own training steps, throughput of two jobs, memory a job.

    python -m tests.bench.class_batch [--size 10] [--steps 100]

Every submission is the reference solution, made unlike the others by a comment. Start-up, which a class pays once, is
told apart.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.batch import warm
from grader.batch.engines import LocalEngine
from grader.batch.intake import take_class
from grader.batch.ledger import Ledger, Record, grader_hash
from grader.batch.run import grade_class, tasks
from grader.batch.unit import Settings
from tests.batch.helpers import hand_in, small_spec, solution
from tests.bench.memory import PeakPss


@dataclass(frozen=True)
class Measured:
    """One class.

    Attributes:
        startup: seconds until the first record, less that grade's own time.
        each: seconds from then on, divided by the number of submissions.
        wall: mean seconds of one grade.
        training: mean seconds of its training loop, as its report says.
        family: peak PSS in bytes of everything that grades.
    """

    startup: float
    each: float
    wall: float
    training: float
    family: int


def measure(size: int, jobs: int, steps: int, *, pictures: bool) -> Measured:
    """Grade a class of ``size`` and measure it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(size):
            hand_in(root / "class", f"student{number:03}", solution(str(number)))
        spec = small_spec(root / "spec.toml", steps=str(steps), audit_share="0.02").read_text(
            encoding="utf-8"
        )
        settings = Settings(spec, "en", "bubblewrap", grader_hash(), 600.0, pictures)
        expected = tasks(take_class(root / "class").entries, settings, 7)
        times: list[float] = []
        records: list[Record] = []

        def told(key: str, record: Record, *, found: bool) -> None:
            times.append(time.perf_counter())
            records.append(record)

        ledger = Ledger(root / "ledger")
        started = time.perf_counter()
        memory = PeakPss(lambda: None if warm._current is None else warm._current.pid)
        try:
            grade_class(
                expected, ledger, lambda: LocalEngine(jobs, ledger.scratch, pictures=pictures), settings, told
            )
        finally:
            peak = memory.stop()
            ledger.close()
    training = [(r.report or {})["metrics"]["invisible_trigger"]["training_seconds"] for r in records]
    begun = times[0] - records[0].seconds
    return Measured(
        startup=begun - started,
        each=(times[-1] - begun) / size,
        wall=_mean([r.seconds for r in records[jobs:]]),
        training=_mean(training[jobs:]),
        family=peak,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def show(size: int, steps: int) -> None:
    """Print the table."""
    print(f"classes of {size} submissions, {steps} training steps each:")
    one = two = None
    for jobs, pictures in ((1, True), (1, False), (2, False)):
        found = measure(size, jobs, steps, pictures=pictures)
        if not pictures:
            one, two = (found, None) if jobs == 1 else (one, found)
        rest = found.wall - found.training
        print(
            f"  {jobs} job{'s' if jobs > 1 else ' '} {'with' if pictures else 'no  '} pictures:"
            f" start-up {found.startup:5.1f} s, then {found.each:5.2f} s a submission; a grade {found.wall:5.2f} s,"
            f" of which training {found.training:5.2f} s, the rest {rest:5.2f} s;"
            f" peak PSS {found.family / 2**20:5.0f} MiB ({found.family / jobs / 2**20:.0f} a job)"
        )
    if one and two:
        print(f"  2 jobs against 1: {one.each / two.each:.2f} times the throughput")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.class_batch", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--size", type=int, default=10, help="submissions a class")
    parser.add_argument("--steps", type=int, default=100, help="training steps a submission")
    options = parser.parse_args()
    show(options.size, options.steps)
    return 0


if __name__ == "__main__":
    sys.exit(main())
