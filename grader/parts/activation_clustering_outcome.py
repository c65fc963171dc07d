"""Activation Clustering's outcome: a poisoned training set, searched and relabelled by the student's functions.

The parent owns the poisoned set, the victim trained on it, fine-tuning and the test images; the child gets activations
and given labels, and never which images are poisoned.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader.calls import Finding
from grader.lab.data import Images, to_float
from grader.lab.defences.activation_clustering import Found, compare, features_of
from grader.lab.defences.fine_pruning import TUNE_RATE
from grader.lab.defences.repair import fine_tune
from grader.lab.metrics import Rate, accuracy, accuracy_drop, attack_success_rate, predict
from grader.lab.models import LeNet5
from grader.lab.triggers.poisoning import PoisonedSet
from grader.lab.triggers.visible import Patch
from grader.lab.victims import poisoned_set, poisoned_victim
from grader.parts.algorithms import StudentAlgorithm
from grader.parts.invisible_trigger_attack import load_data
from grader.parts.repaired import require_working
from grader.parts.run import CheckFunction, PartRun
from grader.spec import Spec

JUDGED = 5000
"""Test images that judge; the other half of MNIST's would say the same."""


@dataclass(frozen=True)
class Victim:
    """The model, the poisoned set that it was trained on, its activations there (N, 84), and what judges."""

    model: LeNet5
    poisoned: PoisonedSet
    features: Tensor
    test: Images


def make_victim(spec: Spec) -> Victim:
    """The victim of the spec: committed, cached, or trained now."""
    core, own = spec.invisible_trigger, spec.activation_clustering
    data = load_data(core.split_seed)
    torch.set_num_threads(spec.threads.parent)
    poisoned = poisoned_set(data.train, core.target, core.clean_seed, own.poison)
    model = poisoned_victim(poisoned, core.target, core.clean_seed, own.poison, split_seed=core.split_seed)
    return Victim(model, poisoned, features_of(model, poisoned), data.test.subset(slice(JUDGED)))


def prepare(run: PartRun) -> None:
    """Make the victim in a thread, while the child starts."""
    pool = ThreadPoolExecutor(1)
    run.prepared["victim"] = pool.submit(make_victim, run.spec)
    pool.shutdown(wait=False)


def flags(run: PartRun) -> tuple[Victim, Tensor, Found]:
    """The victim, what the student flags of its training set, and how right that is; computed once a run."""
    flagged: tuple[Victim, Tensor, Found] = run.once("flags", lambda: _flags(run))
    return flagged


def _flags(run: PartRun) -> tuple[Victim, Tensor, Found]:
    spec = run.spec.activation_clustering
    victim: Victim = run.prepared["victim"].result() if "victim" in run.prepared else make_victim(run.spec)
    algorithm = StudentAlgorithm(run.student, spec.flag_seconds)
    labels = victim.poisoned.images.y
    flagged = algorithm.flag_poisoned(victim.features, labels, run.spec.seed % 2**31)
    found = compare(flagged, victim.poisoned.poisoned)
    run.metrics.update(
        f1=found.f1, precision=found.precision, recall=found.recall, flagged=found.flagged,
        poisoned=int(victim.poisoned.poisoned.sum()), images=len(labels),
    )  # fmt: skip
    if run.pictures_directory is not None:
        _draw(run, victim, flagged)
    return victim, flagged, found


def forgotten(run: PartRun) -> tuple[tuple[Rate, Rate], tuple[Rate, Rate]]:
    """ACC and ASR before and after forgetting; computed once a run."""
    found: tuple[tuple[Rate, Rate], tuple[Rate, Rate]] = run.once("forgotten", lambda: _forget(run))
    return found


def _forget(run: PartRun) -> tuple[tuple[Rate, Rate], tuple[Rate, Rate]]:
    spec, target = run.spec.activation_clustering, run.spec.invisible_trigger.target
    victim, flagged, _ = flags(run)
    torch.set_num_threads(run.spec.threads.parent)
    triggered = Patch()(to_float(victim.test.x))

    def rates(model: LeNet5) -> tuple[Rate, Rate]:
        acc = accuracy(predict(model, victim.test.x), victim.test.y)
        return acc, attack_success_rate(predict(model, triggered), victim.test.y, target)

    model = copy.deepcopy(victim.model)
    algorithm, seed = StudentAlgorithm(run.student, spec.flag_seconds), run.spec.seed % 2**31
    images = victim.poisoned.images
    scrambled = Images(images.x, algorithm.scramble_labels(images.y, flagged, 10, seed))
    generator = torch.Generator().manual_seed(seed)
    fine_tune(model, scrambled, generator, steps=spec.forget_steps, learning_rate=TUNE_RATE)
    before, after = rates(victim.model), rates(model)
    for name, (acc, asr) in {"before": before, "after": after}.items():
        run.metrics.update({f"acc_{name}": acc.value, f"asr_{name}": asr.value})
    return before, after


def _draw(run: PartRun, victim: Victim, flagged: Tensor) -> None:
    """The target's class and a clean one, in their first two principal components."""
    from grader.lab.defence_plots import plot_clusters  # slow to import, and not every grading draws

    assert run.pictures_directory is not None
    target = run.spec.invisible_trigger.target
    labels, truth = victim.poisoned.images.y, victim.poisoned.poisoned
    classes = {
        label: (victim.features[labels == label], flagged[labels == label], truth[labels == label])
        for label in (target, (target + 1) % 10)
    }
    plot_clusters(classes, target, run.pictures_directory / "clusters.png")
    run.pictures["clusters"] = "clusters.png"


def outcome_f1(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    found = flags(run)[2]
    threshold = run.spec.activation_clustering.thresholds.f1
    values: dict[str, Any] = {
        "f1": found.f1, "threshold": threshold, "precision": found.precision, "recall": found.recall,
    }  # fmt: skip
    if not found.f1 >= threshold:
        if found.flagged == 0:
            raise Finding("nothing_flagged", **values)
        raise Finding("many_missed" if found.recall < found.precision else "false_alarms", **values)
    return values


def outcome_asr(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    before, after = forgotten(run)
    limits = run.spec.activation_clustering.thresholds
    require_working(before[0].value, after[0].value, limits.acc_drop)
    threshold = limits.asr
    values: dict[str, Any] = {"asr": after[1].value, "threshold": threshold, "before": before[1].value}
    if not after[1].value <= threshold:
        raise Finding("above", **values)
    return values


def outcome_acc(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    before, after = forgotten(run)
    limit = run.spec.activation_clustering.thresholds.acc_drop
    values: dict[str, Any] = {"before": before[0].value, "after": after[0].value, "limit": limit}
    if not accuracy_drop(before[0].value, after[0].value) <= limit:
        raise Finding("below", **values)
    return values


CHECKS: dict[str, CheckFunction] = {
    "activation_clustering.outcome.f1": outcome_f1,
    "activation_clustering.outcome.asr": outcome_asr,
    "activation_clustering.outcome.acc": outcome_acc,
}
