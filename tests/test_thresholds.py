"""Outcomes against the public spec's thresholds: what just misses one earns nothing, what just reaches it all.

The trainings of the other tests are too short for thresholds that mean something, so here their result is given.
"""

import dataclasses
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

import numpy as np
import pytest
import torch

from grader.calls import Finding
from grader.contract import INVISIBLE_TRIGGER
from grader.lab.defences.activation_clustering import Found
from grader.lab.metrics import Rate
from grader.lab.models import LeNet5
from grader.lab.training import History
from grader.parts import activation_clustering_outcome, fine_pruning_outcome
from grader.parts.invisible_trigger_attack import CHECKS, Attack
from grader.parts.run import CheckFunction, PartRun
from grader.spec import load_spec
from grader.student import StudentModule

SPEC = load_spec()
LIMITS, EPSILON = SPEC.invisible_trigger.thresholds, SPEC.invisible_trigger.epsilon
IMAGES = 10_000


def just_reached() -> Attack:
    """A result without one image, or one grey level, to spare."""
    delta, none = torch.full((1, 1, 28, 28), EPSILON), torch.zeros(0)
    return Attack(
        LeNet5(), delta, delta, History(), none, none,
        acc=Rate(ceil(LIMITS.acc * IMAGES), IMAGES),
        asr=Rate(ceil(LIMITS.asr * IMAGES), IMAGES),
        untriggered=Rate(int(LIMITS.untriggered_rate * IMAGES), IMAGES),
    )  # fmt: skip


def failed(checks: Mapping[str, CheckFunction], **results: Any) -> dict[str, str]:
    """Last part of a failed check's id -> what it found, where these are the results that the checks share."""
    nobody = StudentModule.__new__(StudentModule)  # is asked nothing: the training is over
    found = {}
    for check, function in checks.items():
        run = PartRun(SPEC, nobody, 0, memo=dict(results))
        try:
            function(run, np.random.default_rng(0))
        except Finding as finding:
            found[check.rpartition(".")[2]] = finding.key
    return found


def findings(attack: Attack) -> dict[str, str]:
    return failed(CHECKS, attack=attack)


def fewer(rate: Rate, images: int) -> Rate:
    return Rate(rate.hits - images, rate.total)


def test_what_just_reaches_every_threshold_passes() -> None:
    assert findings(just_reached()) == {}
    assert set(CHECKS) == {c.id for c in INVISIBLE_TRIGGER.checks if c.is_outcome}


def test_one_image_too_few_fails() -> None:
    reached = just_reached()
    assert findings(dataclasses.replace(reached, asr=fewer(reached.asr, 1))) == {"asr": "below"}
    assert findings(dataclasses.replace(reached, acc=fewer(reached.acc, 1))) == {"acc": "below"}


def test_a_model_that_says_the_target_without_a_trigger_has_no_success() -> None:
    reached = just_reached()
    without = fewer(reached.untriggered, -1)
    assert findings(dataclasses.replace(reached, asr=Rate(IMAGES, IMAGES), untriggered=without)) == {
        "asr": "always_target"
    }


def test_a_clean_model_without_a_trigger_has_no_success() -> None:
    nothing = torch.zeros(1, 1, 28, 28)
    clean = dataclasses.replace(just_reached(), delta=nothing, child_delta=nothing, asr=Rate(10, IMAGES))
    assert findings(clean) == {"asr": "below"}


@pytest.mark.parametrize("whose", ["delta", "child_delta"])
def test_one_pixel_outside_the_ball_fails(whose: str) -> None:
    outside = just_reached().delta.clone()
    outside[0, 0, 3, 4] = -EPSILON - 1e-4
    changed: dict[str, Any] = {whose: outside}
    assert findings(dataclasses.replace(just_reached(), **changed)) == {"bound": "exceeded"}
    outside[0, 0, 3, 4] = torch.nan
    assert findings(dataclasses.replace(just_reached(), **changed)) == {"bound": "not_finite"}


Results = Callable[[tuple[Rate, Rate], tuple[Rate, Rate]], dict[str, Any]]
DEFENCES: dict[str, tuple[Mapping[str, CheckFunction], Results]] = {
    "fine_pruning": (
        fine_pruning_outcome.CHECKS,
        lambda before, after: {"repaired": fine_pruning_outcome.Repaired(before, before, after)},
    ),
    "activation_clustering": (
        {k: f for k, f in activation_clustering_outcome.CHECKS.items() if not k.endswith(".f1")},
        lambda before, after: {"forgotten": (before, after)},
    ),
}


@pytest.mark.parametrize("defence", DEFENCES)
def test_a_defence_on_the_wrong_side_of_a_threshold_fails(defence: str) -> None:
    checks, as_results = DEFENCES[defence]
    limits = getattr(SPEC, defence).thresholds
    before = (Rate(9_900, IMAGES), Rate(IMAGES, IMAGES))
    acc = Rate(
        9_900 - round(limits.acc_drop * IMAGES), IMAGES
    )  # exactly the limit: 0.99 - 0.98 > 0.01 in floats
    asr = Rate(int(limits.asr * IMAGES), IMAGES)

    def found(after: tuple[Rate, Rate]) -> dict[str, str]:
        return failed(checks, **as_results(before, after))

    assert found((acc, asr)) == {}
    assert found((acc, fewer(asr, -1))) == {"asr": "above"}
    assert found((fewer(acc, 1), asr)) == {"acc": "below"}
    # a model that says nothing right any more has no backdoor either, and that is no defence
    assert found((Rate(1_000, IMAGES), Rate(0, IMAGES))) == {"asr": "broken", "acc": "below"}


@pytest.mark.parametrize(
    ("precision", "recall", "flagged", "finding"),
    [(1.0, 0.0, 0, "nothing_flagged"), (1.0, 0.8, 9, "many_missed"), (0.8, 1.0, 9, "false_alarms")],
)
def test_an_f1_just_below_the_threshold_fails(
    precision: float, recall: float, flagged: int, finding: str
) -> None:
    checks = {k: f for k, f in activation_clustering_outcome.CHECKS.items() if k.endswith(".f1")}
    least = SPEC.activation_clustering.thresholds.f1
    for f1, expected in ((least, {}), (np.nextafter(least, 0), {"f1": finding})):
        flags = (None, None, Found(precision, recall, float(f1), flagged))
        assert failed(checks, flags=flags) == expected
