"""Loops that take turns: each is on its own while its clock runs, and its clock counts its turns alone."""

import pytest

from tests.bench.steps import seconds_in_turns
from tests.bench.toy_loops import fails, sleeps_four_times, sleeps_once

pytestmark = pytest.mark.alone


def test_a_clock_runs_in_its_loops_turns_alone() -> None:
    found = seconds_in_turns({"long": sleeps_four_times, "short": sleeps_once, "other": sleeps_four_times}, 1)
    assert list(found) == ["long", "short", "other"]
    assert 0.4 <= found["long"] < 0.6  # with the others' turns it would be 0.8
    assert 0.4 <= found["other"] < 0.6
    assert 0.1 <= found["short"] < 0.3


def test_a_loop_that_fails_ends_all_of_them(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EOFError):
        seconds_in_turns({"long": sleeps_four_times, "failing": fails}, 0)
    assert "RuntimeError: on purpose" in capfd.readouterr().err
