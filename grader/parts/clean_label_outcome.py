"""Part 2's outcome: the student's bases and poisons against a victim who trains a new last layer on them.

The parent chooses targets, candidates and the images to train on, and owns the network and the training; the child is
asked for bases (by features alone) and for poisons (with the frozen network, the bases and the targets' features). What
comes back are images, and as images they are judged: rounded to 8 bits, compared with the bases that the parent keeps,
put beside the clean images under the label that they have, their base class.

There is nothing to steer here, as in part 1: a poison is an image within epsilon of its base, however it was made. What
remains is that a file could hold poisons made beforehand for a spec that is known; another seed (a hidden spec) has
other targets and other candidates.

A target counts as turned only while every poison of it holds the budget, and the other two checks only once enough are
turned: bases handed back unchanged hold every budget and cost no accuracy.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader.calls import Finding, TensorArgument
from grader.lab import clean_label
from grader.lab.data import to_float
from grader.lab.last_layer import Poisons, extract, solve_poisoned
from grader.lab.metrics import accuracy_drop, linf, psnr, ssim
from grader.parts.clean_label_victims import VICTIMS, Victim
from grader.parts.run import CheckFunction, PartRun
from grader.spec import CleanLabelAttack

FLOAT32_ROUNDING = 1e-6
CRAFTED_AT_ONCE = 25
"""Images a call; with ResNet-18 that takes some hundred megabytes in the child."""
SHOWN = 2
"""Targets of which a picture is drawn."""


@dataclass(frozen=True)
class Attacked:
    """What came of it.

    Attributes:
        bases, poisons: float32 in [0, 1], whole grey levels, (T, P, C, H, W).
        change: the largest change of a pixel in the poisons of each target, (T,).
        distances: of bases and of poisons to their target in feature space, (T, P, 2).
        outcome: of the fine-tuned victims. turned: of these, the ones whose poisons hold the budget, bool (T,).
    """

    victim: Victim
    bases: Tensor
    poisons: Tensor
    change: Tensor
    distances: Tensor
    outcome: clean_label.Outcome
    turned: Tensor
    over: Tensor

    @property
    def acc(self) -> float:
        return float(self.outcome.acc_after.mean())


def attack(run: PartRun, name: str) -> Attacked:
    """The whole attack on one of the victims; once a run."""
    found: Attacked = run.once(f"attack.{name}", lambda: _attack(run, name))
    return found


def _attack(run: PartRun, name: str) -> Attacked:
    settings: CleanLabelAttack = getattr(run.spec.clean_label, name)
    threads = run.spec.threads
    # the child waits while the parent computes; but LeNet-5 is too small for a second thread to do more than wait
    torch.set_num_threads(threads.parent if name == "mnist" else max(threads.parent, threads.child))
    victim = VICTIMS[name](run)
    chosen = _choose_bases(run, victim, settings)
    bases = to_float(victim.pool.x[chosen])
    started = time.perf_counter()
    grey_levels = clean_label.as_file_holds_it(_craft(run, victim, settings, bases.flatten(0, 1)))
    poisons = to_float(grey_levels).view_as(bases)
    seconds = time.perf_counter() - started
    result = _judge(victim, settings, bases, victim.pool_features[chosen], poisons)
    _measure(run, "" if name == "mnist" else f"{name}_", result, seconds)
    if run.pictures_directory is not None:
        _draw(run, name, result)
    return result


def _choose_bases(run: PartRun, victim: Victim, settings: CleanLabelAttack) -> Tensor:
    """Positions in the pool of each target's bases, (T, P): one question for each base class."""
    targets = victim.targets
    chosen = torch.empty(len(targets), settings.poisons, dtype=torch.int64)
    for label in targets.base_class.unique().tolist():
        candidates = (victim.pool.y == label).nonzero()[:, 0]
        own = targets.base_class == label
        done = run.student.call(
            "choose_bases", TensorArgument(victim.pool_features[candidates].numpy()),
            TensorArgument(victim.target_features[own].numpy()), settings.poisons,
        )  # fmt: skip
        found = done.tensor((int(own.sum()), settings.poisons), "int64")
        inside = bool(((found >= 0) & (found < len(candidates))).all())
        if not inside or any(len(set(row)) < len(row) for row in found.tolist()):
            raise Finding("bad_bases")
        chosen[own] = candidates[torch.from_numpy(found.copy())]
    return chosen


def _craft(run: PartRun, victim: Victim, settings: CleanLabelAttack, bases: Tensor) -> Tensor:
    """The poisons as they come back, (T * P, C, H, W) float32."""
    wanted = victim.target_features.repeat_interleave(settings.poisons, 0)
    report = run.progress or (lambda what, done, total: None)
    crafted = []
    for part, features in zip(bases.split(CRAFTED_AT_ONCE), wanted.split(CRAFTED_AT_ONCE), strict=True):
        done = run.student.call(
            "craft_poisons", victim.features, TensorArgument(part.contiguous().numpy()),
            TensorArgument(features.contiguous().numpy()), settings.step_size, settings.beta,
            settings.iterations, settings.epsilon, seconds=run.spec.limits.run_seconds,
        )  # fmt: skip
        crafted.append(torch.from_numpy(done.tensor(tuple(part.shape)).copy()))
        report("crafting", sum(map(len, crafted)), len(bases))
    return torch.cat(crafted)


def _judge(
    victim: Victim, settings: CleanLabelAttack, bases: Tensor, base_features: Tensor, poisons: Tensor
) -> Attacked:
    shape = poisons.shape[:2]
    features = extract(victim.model, poisons.flatten(0, 1)).view(*shape, -1)
    labels = victim.targets.base_class.unsqueeze(1).expand(shape).contiguous()
    layers = solve_poisoned(
        victim.sample_features, victim.sample_y, Poisons(features, labels),
        start=victim.layer, weight_decay=settings.weight_decay,
    )  # fmt: skip
    outcome = clean_label.judge(victim.layer, layers, victim.test_features, victim.test_y, victim.targets)
    change = linf(poisons.flatten(0, 1), bases.flatten(0, 1)).view(shape).amax(1)
    target = victim.target_features.unsqueeze(1)
    distances = torch.stack([(f - target).norm(dim=2) for f in (base_features, features)], 2)
    within = change <= settings.epsilon + FLOAT32_ROUNDING
    turned = outcome.success & within
    return Attacked(victim, bases, poisons, change, distances, outcome, turned, ~within)


def _measure(run: PartRun, prefix: str, result: Attacked, seconds: float) -> None:
    bases, poisons = result.bases.flatten(0, 1), result.poisons.flatten(0, 1)
    outcome = result.outcome
    values = {
        "turned": float(result.turned.sum()),
        "targets": float(len(result.turned)),
        "clean_acc": outcome.acc_before.value,
        "acc": result.acc,
        "acc_drop": outcome.acc_before.value - result.acc,
        "linf": float(result.change.max()),
        "psnr": float(psnr(poisons, bases).clamp_max(99).mean()),  # an unchanged base has an infinite ratio
        "ssim": float(ssim(poisons, bases).mean()),
        "distance_before": float(result.distances[..., 0].mean()),
        "distance_after": float(result.distances[..., 1].mean()),
        "crafting_seconds": seconds,
    }
    run.metrics.update({f"{prefix}{name}": value for name, value in values.items()})
    targets = result.victim.targets
    run.tables[f"{prefix}targets"] = [
        {
            "number": i + 1,
            "label": int(targets.y[i]),
            "base_class": int(targets.base_class[i]),
            "before": float(outcome.before[i, targets.base_class[i]]),
            "after": float(outcome.after[i, targets.base_class[i]]),
            "distance_before": float(result.distances[i, :, 0].mean()),
            "distance_after": float(result.distances[i, :, 1].mean()),
            "levels": 255 * float(result.change[i]),
        }
        for i in range(len(targets))
    ]


def _draw(run: PartRun, name: str, result: Attacked) -> None:
    """For the first targets: target, bases, poisons, difference, and what the victim says before and after."""
    from grader.lab.clean_label_plots import plot_attack  # slow to import, and not every grading draws

    assert run.pictures_directory is not None
    targets = result.victim.targets
    for i in range(min(SHOWN, len(targets))):
        key = f"{name}_target_{i + 1}"
        filename = f"clean_label_{key}.png"
        plot_attack(
            targets.x[i], result.bases[i], result.poisons[i], y=int(targets.y[i]),
            base_class=int(targets.base_class[i]), before=result.outcome.before[i],
            after=result.outcome.after[i], distances=result.distances[i], names=result.victim.names,
            path=run.pictures_directory / filename,
        )  # fmt: skip
        run.pictures[key] = filename


def _turned(run: PartRun, name: str) -> Mapping[str, Any]:
    result, least = attack(run, name), getattr(run.spec.clean_label, name).turned
    turned, total = int(result.turned.sum()), len(result.turned)
    if turned >= least:
        return {"turned": turned, "total": total}
    if bool((result.over & result.outcome.success).any()):
        raise Finding("over_budget", **_budget(run, name, result))
    raise Finding("too_few", turned=turned, total=total, least=least)


def _acc(run: PartRun, name: str) -> Mapping[str, Any]:
    result, limit = attack(run, name), getattr(run.spec.clean_label, name).acc_drop
    clean_acc = result.outcome.acc_before.value
    drop = accuracy_drop(clean_acc, result.acc)
    if not drop <= limit:
        raise Finding("dropped", drop=drop, acc=result.acc, limit=limit)
    return {"acc": result.acc, "clean_acc": clean_acc}


def _held(run: PartRun, name: str) -> Mapping[str, Any]:
    values = _budget(run, name, attack(run, name))
    if values["over"]:
        raise Finding("exceeded", **values)
    return values


def _budget(run: PartRun, name: str, result: Attacked) -> dict[str, Any]:
    return {
        "over": int(result.over.sum()),
        "total": len(result.over),
        "linf": float(result.change.max()),
        "epsilon": getattr(run.spec.clean_label, name).epsilon,
    }


def outcome_turned(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    return _turned(run, "mnist")


def outcome_acc(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    return _acc(run, "mnist")


def outcome_budget(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    return _held(run, "mnist")


def outcome_cifar10_turned(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    return _turned(run, "cifar10")


def outcome_cifar10_acc(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    return _acc(run, "cifar10")


def outcome_cifar10_budget(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    return _held(run, "cifar10")


CHECKS: dict[str, CheckFunction] = {
    "clean_label.outcome.turned": outcome_turned,
    "clean_label.outcome.acc": outcome_acc,
    "clean_label.outcome.budget": outcome_budget,
    "clean_label.outcome.cifar10_turned": outcome_cifar10_turned,
    "clean_label.outcome.cifar10_acc": outcome_cifar10_acc,
    "clean_label.outcome.cifar10_budget": outcome_cifar10_budget,
}
