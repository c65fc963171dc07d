"""The victims of a clean-label attack: last layers trained on samples of CIFAR-10, without and with poisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from grader.experiments.common import StepProgress
    from grader.experiments.crafting import Crafted
    from grader.experiments.victim import Victim
    from grader.lab.clean_label import Outcome, Targets

METHODS = ("converged", "sgd")


@dataclass(frozen=True)
class Sample:
    """What victims fine-tune on, and what comes of it without poisons.

    Attributes:
        positions: in the training set, (N,); features (N, D); y (N,).
        method: ``converged`` solves the fine-tuning to its optimum, ``sgd`` is the poisoning benchmark's recipe.
        clean: the last layer without poisons, (K, D + 1).
    """

    positions: Tensor
    features: Tensor
    y: Tensor
    method: str
    seed: int
    clean: Tensor


def draw_sample(victim: Victim, count: int, method: str, seed: int, progress: StepProgress) -> Sample:
    """A sample of ``count`` training images, and its last layer without poisons.

    Raises:
        DataError: there are not so many images, or count is no multiple of 10.
    """
    import torch

    from grader.lab.clean_label import fine_tuning_sample
    from grader.lab.last_layer import Poisons, sgd_poisoned, solve

    positions = fine_tuning_sample(victim.train.y, count, seed)
    features, y = victim.train_features[positions], victim.train.y[positions]
    if method == "converged":
        clean = solve(features, y)
    else:
        nothing = torch.empty(1, 0, dtype=torch.int64)
        none = Poisons(features.new_empty(1, 0, features.shape[1]), nothing, nothing)
        clean = sgd_poisoned(features, y, none, _generator(seed), progress=progress)[0]
    return Sample(positions, features, y, method, seed, clean)


def attack(
    victim: Victim, sample: Sample, targets: Targets, crafted: Crafted, progress: StepProgress
) -> Outcome:
    """Fine-tune one victim for each target, with its poisons in the places of their bases, and judge them.

    Raises:
        DataError: the sample has fewer images of a class than there are poisons.
    """
    from grader.lab.clean_label import judge, poisons_of, replaced_by
    from grader.lab.last_layer import sgd_poisoned, solve_poisoned

    replaced = replaced_by(crafted.bases, sample.positions, victim.train.y, targets.base_class)
    poisons = poisons_of(crafted.features, targets.base_class, replaced)
    if sample.method == "converged":
        layers = solve_poisoned(sample.features, sample.y, poisons, start=sample.clean, progress=progress)
    else:
        layers = sgd_poisoned(sample.features, sample.y, poisons, _generator(sample.seed), progress=progress)
    return judge(sample.clean, layers, victim.test_features, victim.test.y, targets)


def unharmed(victim: Victim, sample: Sample, targets: Targets) -> Outcome:
    """The control: every victim without a poison."""
    from grader.lab.clean_label import judge

    layers = sample.clean.expand(len(targets), *sample.clean.shape)
    return judge(sample.clean, layers, victim.test_features, victim.test.y, targets)


def _generator(seed: int) -> torch.Generator:
    import torch

    return torch.Generator().manual_seed(seed)
