"""Part 3's share of the spec: its settings, and the ranges that they keep to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from grader.lab.victims import PoisonSettings, TrojanSettings


@dataclass(frozen=True)
class PruningThresholds:
    """What Fine-Pruning must reach: at most ``asr`` afterwards, and a fall of ACC of at most ``acc_drop``."""

    acc_drop: float
    asr: float


@dataclass(frozen=True)
class FinePruningSpec:
    """Part 3, Fine-Pruning. The target and the seed of the victim are part 1's.

    Attributes:
        clean_images: what the defender has, to rank by and to fine-tune on.
        pruned_share: of the neurons; a whole number of them is pruned, the nearest.
        tune_steps: of fine-tuning.
        trojan: how the victim was made.
    """

    clean_images: int
    pruned_share: float
    tune_steps: int
    trojan: TrojanSettings
    thresholds: PruningThresholds


@dataclass(frozen=True)
class ClusteringThresholds:
    """At least ``f1`` of the poison found, at most ``asr`` after forgetting, a fall of ACC of at most ``acc_drop``."""

    f1: float
    asr: float
    acc_drop: float


@dataclass(frozen=True)
class ActivationClusteringSpec:
    """Part 3, Activation Clustering. The target and the seed of the victim are part 1's.

    Attributes:
        flag_seconds: how long ``flag_poisoned`` may take on the whole training set.
        forget_steps: of fine-tuning on the scrambled labels.
        poison: the training set and how the victim was trained.
    """

    flag_seconds: float
    forget_steps: int
    poison: PoisonSettings
    thresholds: ClusteringThresholds


def repair_rules(
    pruning: FinePruningSpec, clustering: ActivationClusteringSpec
) -> list[tuple[bool, str, object]]:
    """The same for part 3: (holds, rule, value)."""
    trojan, poison = pruning.trojan, clustering.poison
    whole = {
        "fine_pruning.clean_images": pruning.clean_images, "fine_pruning.trojan.neurons": trojan.neurons,
        "activation_clustering.poison.images": poison.images,
    }  # fmt: skip
    most = {
        "fine_pruning.clean_images": 10_000, "fine_pruning.trojan.neurons": 42,
        "activation_clustering.poison.images": 60_000,
    }  # fmt: skip
    positive: dict[str, float] = {
        "fine_pruning.tune_steps": pruning.tune_steps,
        "activation_clustering.forget_steps": clustering.forget_steps,
        "activation_clustering.flag_seconds": clustering.flag_seconds,
        **{f"fine_pruning.trojan.{k}": v for k, v in dataclasses.asdict(trojan).items()},
        **{f"activation_clustering.poison.{k}": v for k, v in dataclasses.asdict(poison).items()},
    }
    shares = {
        **{f"fine_pruning.thresholds.{k}": v for k, v in dataclasses.asdict(pruning.thresholds).items()},
        **{f"activation_clustering.thresholds.{k}": v for k, v in dataclasses.asdict(clustering.thresholds).items()},
        "fine_pruning.pruned_share": pruning.pruned_share, "activation_clustering.poison.ratio": poison.ratio,
    }  # fmt: skip
    return [
        *((v > 0, f"{k} must be positive", v) for k, v in positive.items()),
        *((0 <= v <= 1, f"{k} must be in [0, 1]", v) for k, v in shares.items()),
        *((v >= 128 or "neurons" in k, f"{k} must be at least 128", v) for k, v in whole.items()),
        *((v <= most[k], f"{k} must be at most {most[k]}", v) for k, v in whole.items()),
        (
            pruning.pruned_share <= 0.95,
            "fine_pruning.pruned_share must be at most 0.95",
            pruning.pruned_share,
        ),
        (poison.ratio <= 0.5, "activation_clustering.poison.ratio must be at most 0.5", poison.ratio),
        *(
            (v <= 2048, f"{k} must be at most 2048", v)
            for k, v in positive.items()
            if k.endswith("batch_size")
        ),
    ]
