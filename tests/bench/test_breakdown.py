"""The parts of a grading's time do not overlap, and leave nothing out."""

import time

import pytest

from tests.bench.breakdown import REST, Stopwatch

pytestmark = pytest.mark.alone


class Baker:
    def bake(self) -> str:
        time.sleep(0.1)
        return self.cool()

    def cool(self) -> str:
        time.sleep(0.2)
        return "bread"


def test_what_runs_within_a_part_counts_for_itself() -> None:
    class Watched(Baker):
        pass

    started = time.perf_counter()
    stopwatch = Stopwatch()
    stopwatch.watch(Watched, "bake", "baking")
    stopwatch.watch(Watched, "cool", "cooling")
    with stopwatch.part(REST):
        assert Watched().bake() == "bread"
    assert stopwatch.seconds["cooling"] >= 0.2
    assert stopwatch.seconds["baking"] >= 0.1
    assert sum(stopwatch.seconds.values()) == pytest.approx(time.perf_counter() - started, abs=0.05)
