"""Feature collisions side by side: ours against the Adversarial Robustness Toolbox's, on the same network and images.

ART crafts image by image; ours crafts a batch with the solution's functions, in bfloat16 where that is fast, as
the lab does. Both start from the same bases, and their poisons are judged as 8-bit images in float32.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import solution.clean_label as reference
from grader.experiments.crafting import CraftSettings
from grader.lab.data import DataError, Images, load_cifar10, to_float
from grader.lab.extractor import load_resnet18
from grader.lab.extractor_training import fast_bfloat16
from grader.lab.last_layer import extract
from grader.lab.metrics import linf, psnr, to_8bit
from grader.lab.models import ResNet18

CANDIDATES = 1_000
"""Training images among which the bases are chosen: the same for both sides, so more of them would tell nothing new."""


@dataclass(frozen=True)
class Pairs:
    """Bases (N, C, H, W) and the targets that each is to collide with; their classes (N,)."""

    bases: Tensor
    targets: Tensor
    classes: Tensor


def bench_clean_label(runs: int) -> None:
    """Feature collisions: time a poison and feature distance, against ART's FeatureCollisionAttack; needs CIFAR-10.

    Args:
        runs: pairs of base and target.
    """
    try:
        train, test = (load_cifar10(split, grey_levels=True) for split in ("train", "test"))
    except DataError as error:
        print(f"clean label: not measured; {error}")
        return
    model = load_resnet18()
    pairs = choose_pairs(model, train, test, runs)
    print(
        f"feature collisions on ResNet-18, {runs} pairs of base and target, {torch.get_num_threads()} threads:"
    )
    print(f"  {'':38}  s a poison  feature distance  PSNR      largest change")
    report("the bases", model, pairs, pairs.bases, None)
    slowest: list[tuple[float, float]] = []
    for coefficient in (256.0, 1.0):
        poisons, seconds = timed(lambda c=coefficient: by_art(model, pairs, c))  # type: ignore[misc]
        distance = report(f"ART, similarity_coeff {coefficient:g}", model, pairs, poisons, seconds)
        slowest.append((seconds / runs, distance))
    usual = CraftSettings()
    for iterations, epsilon in (
        (5, None),
        (10, None),
        (usual.iterations, None),
        (usual.iterations, usual.epsilon),
    ):
        ours, seconds = timed(lambda n=iterations, e=epsilon: by_us(model, pairs, n, e))  # type: ignore[misc]
        bound = "no bound" if epsilon is None else f"within {usual.budget}"
        distance = report(f"ours, {iterations} iterations, {bound}", model, pairs, ours, seconds)
        ratios = [
            f"{each / (seconds / runs):.0f}x as fast, distance {'not larger' if distance <= other else 'LARGER'}"
            for each, other in slowest
        ]
        print(f"    against ART's two: {'; '.join(ratios)}")


def choose_pairs(model: ResNet18, train: Images, test: Images, count: int) -> Pairs:
    """Correctly classified test images, each with the nearest training image of the next class but two."""
    some = train.subset(slice(0, CANDIDATES))
    candidates, targets = extract(model, some.x), extract(model, test.x[: 4 * count])
    right = (model.classify(targets).argmax(1) == test.y[: 4 * count]).nonzero()[:count, 0]
    bases = []
    for index in right.tolist():
        own = (some.y == (test.y[index] + 3) % 10).nonzero()[:, 0]
        bases.append(own[reference.choose_bases(candidates[own], targets[index : index + 1], 1)[0]])
    chosen = torch.cat(bases)
    return Pairs(to_float(some.x[chosen]), to_float(test.x[right]), some.y[chosen])


def timed(craft: Callable[[], Tensor]) -> tuple[Tensor, float]:
    started = time.perf_counter()
    poisons = craft()
    return poisons, time.perf_counter() - started


def by_us(model: ResNet18, pairs: Pairs, iterations: int, epsilon: float | None) -> Tensor:
    bfloat16, settings = fast_bfloat16(), CraftSettings()

    def features(x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            return model.features(x.contiguous(memory_format=torch.channels_last)).float()

    aims = extract(model, pairs.targets)
    return reference.craft_poisons(
        features, pairs.bases, aims, settings.step_size, settings.beta, iterations, epsilon
    )


class _Features(nn.Module):
    """ART finds a layer by its name in a Sequential."""

    def __init__(self, model: ResNet18) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.features(x)


def by_art(model: ResNet18, pairs: Pairs, similarity_coeff: float) -> Tensor:
    """ART's attack with its own learning rate and number of iterations, one target after another."""
    from art.attacks.poisoning import FeatureCollisionAttack
    from art.estimators.classification import PyTorchClassifier

    layers = nn.Sequential(OrderedDict(features=_Features(model), fc=model.fc))
    found = []
    for base, target in zip(pairs.bases, pairs.targets, strict=True):
        classifier = PyTorchClassifier(
            layers, nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0, 1), device_type="cpu"
        )
        attack = FeatureCollisionAttack(
            classifier, target[None].numpy(), "features", similarity_coeff=similarity_coeff, verbose=False
        )
        poison, _ = attack.poison(base[None].numpy())
        found.append(torch.from_numpy(poison))
    return torch.cat(found)


def report(name: str, model: ResNet18, pairs: Pairs, poisons: Tensor, seconds: float | None) -> float:
    """Print one line; returns the mean feature distance to the targets."""
    kept = to_8bit(poisons)
    distance = (extract(model, kept) - extract(model, pairs.targets)).norm(dim=1).mean().item()
    each = "" if seconds is None else f"{seconds / len(kept):.2f}"
    ratio = f"{psnr(kept, pairs.bases).mean().item():.1f} dB"
    print(
        f"  {name:38}  {each:>10}  {distance:16.2f}  {ratio:8}  {linf(kept, pairs.bases).max().item() * 255:.0f} of 255"
    )
    return distance
