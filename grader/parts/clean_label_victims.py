"""The two victims of part 2's outcome: LeNet-5 on MNIST, which everybody has, and ResNet-18 on CIFAR-10.

A victim trains a new last layer on a few images with right labels. Which images, which targets and which base classes
follows from the spec's seed, so poisons that somebody made beforehand fit nobody else's seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from grader.calls import FeaturesArgument
from grader.lab.clean_label import Targets, fine_tuning_sample
from grader.lab.data import DataError, Images, load_cifar10, split_mnist
from grader.lab.last_layer import extract, logits, solve
from grader.lab.training import clean_start
from grader.parts.run import PartRun, ResourceAbsent
from grader.spec import CleanLabelAttack, Spec

DIGITS = tuple("0123456789")
EASIEST = 1 / 3
"""The share of the test images, those of the smallest margins, among which targets are drawn."""


@dataclass(frozen=True)
class Victim:
    """A frozen network, what it is attacked with, and its last layer without poisons.

    Attributes:
        features: for the child.
        sample_features, sample_y: of the images that the last layer is trained on, (N, D) and (N,).
        pool: training images that are not among these, grey levels: bases come from here. pool_features: (M, D).
        test_features, test_y: of the images that judge.
        layer: the last layer trained without poisons, (K, D + 1).
        targets: whom to attack. ``index`` is their position among the test images.
        names: of the classes.
    """

    model: nn.Module
    features: FeaturesArgument
    sample_features: Tensor
    sample_y: Tensor
    pool: Images
    pool_features: Tensor
    test_features: Tensor
    test_y: Tensor
    layer: Tensor
    targets: Targets
    names: tuple[str, ...]

    @property
    def target_features(self) -> Tensor:
        return self.test_features[self.targets.index]


def mnist_victim(run: PartRun) -> Victim:
    """The clean LeNet-5 of part 1, frozen."""
    spec, report = run.spec.invisible_trigger, run.progress or (lambda what, done, total: None)
    train, test = split_mnist(spec.split_seed, grey_levels=True)
    model = clean_start(
        spec.clean, spec.clean_seed, train, split_seed=spec.split_seed,
        progress=lambda done, total, _: report("clean_training", done, total),
    )  # fmt: skip
    model.eval().requires_grad_(False)
    features = FeaturesArgument("lenet5", _state(model))
    return _victim(run.spec, run.spec.clean_label.mnist, model, features, train, test, DIGITS)


def cifar10_victim(run: PartRun) -> Victim:
    """The trained ResNet-18.

    Raises:
        ResourceAbsent: its weights or CIFAR-10 are not here, or the spec does not want them.
    """
    from grader.lab.clean_label import CIFAR10_CLASSES
    from grader.lab.extractor import RESNET18, load_resnet18
    from grader.lab.extractor_training import fast_bfloat16

    if not run.spec.clean_label.on_cifar10:
        raise ResourceAbsent("CIFAR-10 (on_cifar10)")
    if not RESNET18.exists():
        raise ResourceAbsent(f"grader/data/{RESNET18.name}")
    try:
        train, test = (load_cifar10(split, grey_levels=True) for split in ("train", "test"))
    except DataError as error:
        raise ResourceAbsent("CIFAR-10 (BACKDOOR_LAB_DATA)") from error
    model = load_resnet18()
    features = FeaturesArgument("resnet18", _state(model), {}, fast_bfloat16())
    return _victim(run.spec, run.spec.clean_label.cifar10, model, features, train, test, CIFAR10_CLASSES)


VICTIMS: dict[str, Callable[[PartRun], Victim]] = {"mnist": mnist_victim, "cifar10": cifar10_victim}


def _state(model: nn.Module) -> dict[str, np.ndarray]:
    """Weights and buffers as arrays, without the counters, which nobody needs in eval mode."""
    return {
        name: value.contiguous().numpy()
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def _victim(
    spec: Spec,
    settings: CleanLabelAttack,
    model: nn.Module,
    features: FeaturesArgument,
    train: Images,
    test: Images,
    names: tuple[str, ...],
) -> Victim:
    generator = torch.Generator().manual_seed(spec.seed)
    sample = fine_tuning_sample(train.y, settings.images, spec.seed)
    unused = torch.ones(len(train), dtype=torch.bool)
    unused[sample] = False
    others = unused.nonzero()[:, 0]
    pool = train.subset(others[torch.randperm(len(others), generator=generator)[: settings.candidates]])
    judged = test.subset(torch.randperm(len(test), generator=generator)[: settings.judged])
    sample_features, sample_y = extract(model, train.x[sample]), train.y[sample]
    layer = solve(sample_features, sample_y, weight_decay=settings.weight_decay)
    test_features = extract(model, judged.x)
    targets = _targets(settings, model, judged, test_features, layer, generator)
    return Victim(
        model, features, sample_features, sample_y, pool, extract(model, pool.x), test_features, judged.y,
        layer, targets, names,
    )  # fmt: skip


def _targets(
    settings: CleanLabelAttack,
    model: nn.Module,
    test: Images,
    features: Tensor,
    layer: Tensor,
    generator: torch.Generator,
) -> Targets:
    """Whom an attacker would choose: images that are read rightly, but not with the largest margin.

    Drawn from the third with the smallest margins between the true class and the next one, as the network was trained;
    that next class is the base class. The victim's own last layer must be right, too, as long as there is no poison.
    """
    with torch.inference_mode():
        scores: Tensor = model.classify(features)  # type: ignore[operator]
    best = scores.topk(2, 1)
    margin = best.values[:, 0] - best.values[:, 1]
    right = (best.indices[:, 0] == test.y) & (logits(layer, features).argmax(1) == test.y)
    eligible = (right & (margin < margin.quantile(EASIEST))).nonzero()[:, 0]
    index = eligible[torch.randperm(len(eligible), generator=generator)[: settings.targets]]
    if len(index) < settings.targets:
        raise DataError(
            f"only {len(index)} images can be targets, not {settings.targets}; judge by more images"
        )
    chosen = test.subset(index).as_float()
    return Targets(chosen.x, chosen.y, best.indices[index, 1].clone(), index)
