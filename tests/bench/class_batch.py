"""What a class costs: start-up, cost a submission beyond its own training steps, throughput of two jobs, memory a job.

    python -m tests.bench.class_batch [--size 10] [--steps 100]

Every submission is the reference solution, made unlike the others by a comment. Start-up, which a class pays once, is
told apart.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
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
        sampler = _Sampler()
        try:
            grade_class(expected, ledger, lambda: LocalEngine(jobs, ledger.scratch), settings, told)
        finally:
            sampler.stop()
            ledger.close()
    training = [(r.report or {})["metrics"]["invisible_trigger"]["training_seconds"] for r in records]
    begun = times[0] - records[0].seconds
    return Measured(
        startup=begun - started,
        each=(times[-1] - begun) / size,
        wall=_mean([r.seconds for r in records[jobs:]]),
        training=_mean(training[jobs:]),
        family=sampler.peak,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


class _Sampler:
    """Peak of the summed proportional set sizes of the warm parent and all below it, five looks a second."""

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def _sample(self) -> None:
        while not self._done.wait(0.2):
            if warm._current is not None:
                self.peak = max(self.peak, sum(_pss(pid) for pid in _family(warm._current.pid)))

    def stop(self) -> None:
        self._done.set()
        self._thread.join()


def _family(pid: int) -> list[int]:
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [member for child in path.read_text().split() for member in _family(int(child))]
        except OSError:  # it ended between two looks
            continue
    return found


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


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
