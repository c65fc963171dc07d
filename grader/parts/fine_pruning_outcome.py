"""Fine-Pruning's outcome: a trojaned LeNet-5, ranked and pruned by the student's functions, fine-tuned by the parent.

The parent owns the victim, the clean images, fine-tuning and the test images; the child gets weights and activations.
Only the paper's rule is graded: this backdoor lives in neurons that clean images hardly use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader.calls import Finding
from grader.lab.data import Images, to_float
from grader.lab.defences.fine_pruning import RULES, activations, prune
from grader.lab.defences.repair import clean_set, fine_tune
from grader.lab.metrics import Rate, accuracy, accuracy_drop, attack_success_rate, predict
from grader.lab.models import LeNet5
from grader.lab.training import clean_file_name, clean_start
from grader.lab.triggers.visible import Patch
from grader.lab.victims import trojaned_model
from grader.parts.algorithms import StudentAlgorithm
from grader.parts.invisible_trigger_attack import load_data
from grader.parts.repaired import require_working
from grader.parts.run import CheckFunction, PartRun
from grader.spec import Spec

JUDGED = 5000
"""Test images that judge; the other half of MNIST's would say the same."""
RULE = "dormant"


@dataclass(frozen=True)
class Victim:
    """The trojaned model, the defender's clean images, and what judges."""

    model: LeNet5
    clean: Images
    test: Images


@dataclass(frozen=True)
class Repaired:
    """ACC and ASR of the victim, after pruning, and after fine-tuning."""

    before: tuple[Rate, Rate]
    pruned: tuple[Rate, Rate]
    tuned: tuple[Rate, Rate]


def make_victim(spec: Spec) -> Victim:
    """The victim of the spec: committed, cached, or made now."""
    core, own = spec.invisible_trigger, spec.fine_pruning
    data = load_data(core.split_seed)
    torch.set_num_threads(spec.threads.parent)
    settings, seed = core.clean, core.clean_seed
    model = trojaned_model(
        lambda: clean_start(settings, seed, data.train, split_seed=core.split_seed),
        clean_file_name(settings, seed, core.split_seed), data.train, core.target, seed, own.trojan,
    )  # fmt: skip
    clean = clean_set(data.train, spec.seed, count=own.clean_images)
    return Victim(model, clean, data.test.subset(slice(JUDGED)))


def prepare(run: PartRun) -> None:
    """Make the victim in a thread, while the child starts."""
    pool = ThreadPoolExecutor(1)
    run.prepared["victim"] = pool.submit(make_victim, run.spec)
    pool.shutdown(wait=False)


def repaired(run: PartRun) -> Repaired:
    """Rank, prune, fine-tune and judge; computed once a run."""
    found: Repaired = run.once("repaired", lambda: _repair(run))
    return found


def _repair(run: PartRun) -> Repaired:
    core, spec = run.spec.invisible_trigger, run.spec.fine_pruning
    victim: Victim = run.prepared["victim"].result() if "victim" in run.prepared else make_victim(run.spec)
    torch.set_num_threads(run.spec.threads.parent)
    algorithm = StudentAlgorithm(run.student)
    seen = activations(victim.model, victim.clean.x)
    weights = victim.model.fc2.weight.detach()
    orders = {rule: algorithm.rank_neurons(weights, seen, rule) for rule in RULES}
    smaller = prune(victim.model, orders[RULE], spec.pruned_share, algorithm)
    triggered = Patch()(to_float(victim.test.x))

    def rates(model: LeNet5) -> tuple[Rate, Rate]:
        acc = accuracy(predict(model, victim.test.x), victim.test.y)
        return acc, attack_success_rate(predict(model, triggered), victim.test.y, core.target)

    before, pruned = rates(victim.model), rates(smaller)
    generator = torch.Generator().manual_seed(run.spec.seed)
    fine_tune(smaller, victim.clean, generator, steps=spec.tune_steps)
    result = Repaired(before, pruned, rates(smaller))
    for name, (acc, asr) in vars(result).items():
        run.metrics.update({f"acc_{name}": acc.value, f"asr_{name}": asr.value})
    run.metrics["neurons_left"] = smaller.fc2.out_features
    if run.pictures_directory is not None:
        _draw(run, victim, orders, triggered)
    return result


def _draw(run: PartRun, victim: Victim, orders: Mapping[str, Tensor], triggered: Tensor) -> None:
    """ACC and ASR against the share pruned, for both rules, without fine-tuning."""
    from grader.lab.defence_plots import plot_pruning  # slow to import, and not every grading draws

    assert run.pictures_directory is not None
    test, model = victim.test, victim.model
    features = activations(model, test.x), activations(model, triggered)
    curves = {
        rule: pruning_curve(model, order, *features, test.y, run.spec.invisible_trigger.target)
        for rule, order in orders.items()
    }
    plot_pruning(curves, run.spec.fine_pruning.pruned_share, run.pictures_directory / "pruning.png")
    run.pictures["pruning"] = "pruning.png"


@torch.inference_mode()
def pruning_curve(
    model: LeNet5, order: Tensor, features: Tensor, triggered: Tensor, y: Tensor, target: int
) -> Sequence[tuple[float, float, float]]:
    """(share pruned, ACC, ASR) as more and more of ``order`` goes, without fine-tuning.

    Args:
        features, triggered: (N, D) activations of the clean and of the triggered test images.
    """
    found = []
    for count in range(0, len(order), 4):
        mask = torch.ones(len(order))
        mask[order[:count]] = 0
        said = (model.classify(f * mask).argmax(1) for f in (features, triggered))
        acc, asr = accuracy(next(said), y), attack_success_rate(next(said), y, target)
        found.append((count / len(order), acc.value, asr.value))
    return found


def outcome_asr(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    result, limits = repaired(run), run.spec.fine_pruning.thresholds
    require_working(result.before[0].value, result.tuned[0].value, limits.acc_drop)
    asr = result.tuned[1].value
    values: dict[str, Any] = {"asr": asr, "threshold": limits.asr, "before": result.before[1].value}
    if not asr <= limits.asr:
        raise Finding("above", **values)
    return values


def outcome_acc(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    result, limits = repaired(run), run.spec.fine_pruning.thresholds
    before, after = result.before[0].value, result.tuned[0].value
    values: dict[str, Any] = {"before": before, "after": after, "limit": limits.acc_drop}
    if not accuracy_drop(before, after) <= limits.acc_drop:
        raise Finding("below", **values)
    return values


CHECKS: dict[str, CheckFunction] = {
    "fine_pruning.outcome.asr": outcome_asr,
    "fine_pruning.outcome.acc": outcome_acc,
}
