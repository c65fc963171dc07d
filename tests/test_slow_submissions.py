"""Training that does not end in time: the student's code is blamed for computing and for sleeping, a machine never."""

import dataclasses
import types
from pathlib import Path

import pytest

from grader.calls import Finding
from grader.grading import Grading
from grader.isolation import ROOT, MachineFault
from grader.outcome import Outcome, Status
from grader.parts.invisible_trigger_steps import ChildStepper
from grader.spec import Spec, load_spec
from grader.usage import Usage

SOLUTION = (ROOT / "solution" / "invisible_trigger.py").read_text(encoding="utf-8")
ASR = "invisible_trigger.outcome.asr"


@pytest.fixture(scope="module")
def spec() -> Spec:
    """Three seconds for the whole training."""
    public = load_spec()
    part = public.invisible_trigger
    return dataclasses.replace(
        public,
        limits=dataclasses.replace(public.limits, run_seconds=3.0),
        invisible_trigger=dataclasses.replace(part, attack=dataclasses.replace(part.attack, steps=100_000)),
    )


def outcome(source: str, folder: Path, spec: Spec) -> Outcome:
    (folder / "invisible_trigger.py").write_text(source, encoding="utf-8")
    with Grading(folder, spec) as grading:
        return grading.outcome(ASR)


def test_who_sleeps_in_every_step_has_only_themselves_to_blame(spec, tmp_path) -> None:
    source = f"""{SOLUTION}
import time
right = poison_step

def poison_step(model, delta, x, y, target):
    time.sleep(0.4 * (len(x) > 99))
    return right(model, delta, x, y, target)
"""
    found = outcome(source, tmp_path, spec)
    assert (found.status, found.finding) == (Status.FAILED, "timeout")


@pytest.mark.parametrize(
    ("usage", "status"),
    [
        (Usage(cpu=2.5, asked=2.9, queued={1: 0.1}), Status.FAILED),  # it computed
        (Usage(cpu=0.1, asked=2.9, queued={1: 0.1}), Status.FAILED),  # it slept
        (Usage(cpu=1.0, asked=2.9, queued={1: 1.9}), Status.ERROR),  # it stood in line for a processor
        (Usage(cpu=0.2, asked=0.5, queued={1: 0.1}), Status.ERROR),  # the grader itself did
    ],
)
def test_a_busy_machine_costs_no_points(usage: Usage, status: Status, spec) -> None:
    student = types.SimpleNamespace(usage=lambda: usage)
    stepper = ChildStepper.__new__(ChildStepper)
    stepper._run = types.SimpleNamespace(spec=spec, student=student)  # type: ignore[assignment]
    with pytest.raises(Finding if status is Status.FAILED else MachineFault):
        stepper._too_slow()


def test_usage_is_measured(spec, tmp_path) -> None:
    (tmp_path / "invisible_trigger.py").write_text(SOLUTION, encoding="utf-8")
    with Grading(tmp_path, spec) as grading:
        grading.outcome("invisible_trigger.apply_trigger.adds_delta")
        usage = grading._runs["invisible_trigger"].student.usage()
    if usage is not None:  # where the system says
        assert 0 <= usage.longest_queued < 60
        assert 0 < usage.asked < 60
        assert usage.cpu >= 0
