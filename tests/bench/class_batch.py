"""What a class costs: start-up, cost a submission beyond its own training steps, throughput of two jobs, memory a job.

    python -m tests.bench.class_batch [--size 8] [--steps 100] [--runs 5]

Every submission is the reference solution, made unlike the others by a comment. Start-up, which a class pays once, is
told apart. Memory is looked at in classes of its own: adding up the pages of all processes ten times a second takes
processor time that two jobs need and one leaves.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
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
    """

    startup: float
    each: float
    wall: float
    training: float

    @property
    def rest(self) -> float:
        return self.wall - self.training


@dataclass(frozen=True)
class Class:
    """A class to grade: how many submissions, and how many training steps each."""

    size: int
    steps: int

    def times(self, jobs: int, *, pictures: bool) -> Measured:
        """Grade it with so many jobs."""
        started = time.perf_counter()
        times, records = self._graded(jobs, pictures=pictures)
        training = [(r.report or {})["metrics"]["invisible_trigger"]["training_seconds"] for r in records]
        begun = times[0] - records[0].seconds
        return Measured(
            startup=begun - started,
            each=(times[-1] - begun) / self.size,
            wall=statistics.mean(r.seconds for r in records[jobs:]),
            training=statistics.mean(training[jobs:]),
        )

    def memory(self, jobs: int, *, pictures: bool) -> int:
        """Grade it, and return the peak PSS in bytes of everything that grades."""
        memory = PeakPss(lambda: None if warm._current is None else warm._current.pid)
        try:
            self._graded(jobs, pictures=pictures)
        finally:
            peak = memory.stop()
        return peak

    def _graded(self, jobs: int, *, pictures: bool) -> tuple[list[float], list[Record]]:
        """When each record came, and the records."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for number in range(self.size):
                hand_in(root / "class", f"student{number:03}", solution(str(number)))
            spec = small_spec(root / "spec.toml", steps=str(self.steps), audit_share="0.02")
            text = spec.read_text(encoding="utf-8")
            settings = Settings(text, "en", "bubblewrap", grader_hash(), 600.0, pictures)
            expected = tasks(take_class(root / "class").entries, settings, 7)
            times: list[float] = []
            records: list[Record] = []

            def told(key: str, record: Record, *, found: bool) -> None:
                times.append(time.perf_counter())
                records.append(record)

            with contextlib.closing(Ledger(root / "ledger")) as ledger:

                def engine() -> LocalEngine:
                    return LocalEngine(jobs, ledger.scratch, pictures=pictures)

                grade_class(expected, ledger, engine, settings, told)
        return times, records


def _jobs(number: int) -> str:
    return "1 job:" if number == 1 else f"{number} jobs:"


def show(chosen: Class, runs: int) -> None:
    """Print the table; one job and two take turns, so that a slow minute of the machine tells against both."""
    print(f"classes of {chosen.size} submissions, {chosen.steps} training steps each, {runs} runs (medians):")
    found: dict[int, list[Measured]] = {1: [], 2: []}
    for run in range(runs):
        for jobs in (1, 2) if run % 2 == 0 else (2, 1):
            found[jobs].append(chosen.times(jobs, pictures=False))
    for jobs, measured in found.items():

        def middle(value: Callable[[Measured], float], measured: Sequence[Measured] = measured) -> str:
            return f"{statistics.median(map(value, measured)):.2f} s"

        print(
            f"  {_jobs(jobs):7} start-up {middle(lambda m: m.startup)}, then"
            f" {middle(lambda m: m.each)} a submission; a grade {middle(lambda m: m.wall)}, of which training"
            f" {middle(lambda m: m.training)}, the rest {middle(lambda m: m.rest)}"
        )
    gains = sorted(one.each / two.each for one, two in zip(found[1], found[2], strict=True))
    print(
        f"  2 jobs against 1: {statistics.median(gains):.2f} times the throughput"
        f" (min {gains[0]:.2f}, max {gains[-1]:.2f})"
    )
    for jobs, pictures in ((1, True), (1, False), (2, False)):
        peak = chosen.memory(jobs, pictures=pictures) / 2**20
        print(
            f"  {_jobs(jobs):7} {'with pictures' if pictures else 'no pictures':14}"
            f"peak PSS {peak:5.0f} MiB ({peak / jobs:.0f} a job)"
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.class_batch", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--size", type=int, default=8, help="submissions a class")
    parser.add_argument("--steps", type=int, default=100, help="training steps a submission")
    parser.add_argument("--runs", type=int, default=5, help="classes with one job, and with two")
    options = parser.parse_args()
    show(Class(options.size, options.steps), options.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
