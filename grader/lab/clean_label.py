"""The clean-label experiment around the attack: who is attacked, what the victim trains on, and what came of it.

The attacker poisons a few images of one class, the *base class*, so that one test image of another class, the *target*,
is taken for the base class once the victim has trained a new last layer on a set that holds the poisons (Shafahi et al.
2018). The attack's algorithm is not here: it is what students write. The fine-tuning is in ``last_layer.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from grader.lab.data import DataError, Images
from grader.lab.last_layer import Poisons, logits
from grader.lab.metrics import Rate, to_8bit

NUM_CLASSES = 10
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


@dataclass(frozen=True)
class Targets:
    """The images that are attacked.

    Attributes:
        x: float32 in [0, 1], (T, C, H, W); y: their true classes, int64 (T,).
        base_class: the class that each is to be taken for, int64 (T,).
        index: their positions in the test set, int64 (T,).
    """

    x: Tensor
    y: Tensor
    base_class: Tensor
    index: Tensor

    def __post_init__(self) -> None:
        if self.x.ndim != 4 or self.x.dtype != torch.float32:
            raise DataError(
                f"targets are float32 (T, C, H, W), not {self.x.dtype} {tuple(self.x.shape)}; "
                "one image is a batch of one"
            )
        if any(v.shape != self.x.shape[:1] or v.dtype != torch.int64 for v in (self.y, self.base_class)):
            raise DataError(f"{len(self.x)} targets need as many int64 classes and base classes")
        outside = (self.base_class < 0) | (self.base_class >= NUM_CLASSES)
        if bool(outside.any()):
            raise DataError(f"a base class is 0 to {NUM_CLASSES - 1}, not {int(self.base_class[outside][0])}")
        if bool((same := self.y == self.base_class).any()):
            raise DataError(
                f"target {int(self.index[same][0])} is of class {int(self.y[same][0])} already, which is also its "
                "base class: nothing would be attacked; choose another base class"
            )

    def __len__(self) -> int:
        return len(self.x)

    def of(self, which: Tensor) -> Targets:
        """Some of them."""
        return Targets(self.x[which], self.y[which], self.base_class[which], self.index[which])


def choose_targets(test: Images, predictions: Tensor, count: int, seed: int) -> Targets:
    """Correctly classified test images at random, equally many of each class, each with another random class.

    The first of a larger choice are those of a smaller one only within each class.

    Args:
        predictions: of the victim's network as it was before, (N,).

    Raises:
        DataError: a class has too few images that are classified correctly.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(test), generator=generator)
    # one draw for every image, so that a target has the same base class however many others there are
    other = torch.randint(1, NUM_CLASSES, (len(test),), generator=generator)
    order = order[(predictions == test.y)[order]]
    chosen = []
    for label in range(NUM_CLASSES):
        wanted = count // NUM_CLASSES + (label < count % NUM_CLASSES)
        own = order[test.y[order] == label][:wanted]
        if len(own) < wanted:
            raise DataError(
                f"class {label} has {len(own)} test images that are classified correctly, not {wanted}"
            )
        chosen.append(own)
    index = torch.cat(chosen)
    y = test.y[index]
    x = test.subset(index).as_float().x
    return Targets(x, y, (y + other[index]) % NUM_CLASSES, index)


def fine_tuning_sample(y: Tensor, count: int, seed: int) -> Tensor:
    """Positions of the images that a victim fine-tunes on, equally many of each class: int64 (count,), in order.

    A smaller sample is part of a larger one of the same seed.

    Args:
        y: the classes of all training images, (N,).

    Raises:
        DataError: count is no multiple of 10, or a class has too few images.
    """
    each, rest = divmod(count, NUM_CLASSES)
    if rest or each < 1:
        raise DataError(
            f"a fine-tuning set has equally many images of {NUM_CLASSES} classes, so not {count} in all"
        )
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    chosen = []
    for label in range(NUM_CLASSES):
        own = order[y[order] == label]
        if len(own) < each:
            raise DataError(f"class {label} has {len(own)} training images, fewer than the {each} asked for")
        chosen.append(own[:each])
    return torch.cat(chosen).sort().values


def replaced_by(bases: Tensor, sample: Tensor, y: Tensor, base_class: Tensor) -> Tensor:
    """The places that poisons take in a fine-tuning set: of their own bases where these are in it, or of others.

    So a set keeps its size and its classes stay balanced, and no base stands in it beside its own poison.

    Args:
        bases: (T, P), positions in the training set; sample: (N,) likewise; y: classes of all training images.
        base_class: (T,).

    Returns:
        positions *in the sample*, int64 (T, P).

    Raises:
        DataError: the sample has fewer images of a base class than there are poisons.
    """
    rows = []
    for own, label in zip(bases, base_class.tolist(), strict=True):
        places = (y[sample] == label).nonzero()[:, 0]
        if len(places) < len(own):
            raise DataError(
                f"{len(own)} poisons do not fit into a fine-tuning set with {len(places)} images of class {label}; "
                "ask for fewer poisons or for more images"
            )
        is_base = torch.isin(sample[places], own)
        rows.append(torch.cat([places[is_base], places[~is_base]])[: len(own)])
    return torch.stack(rows)


def check_bases(count: int, y: Tensor) -> None:
    """Refuse to choose more bases than there are images of a class.

    Raises:
        DataError: with both numbers.
    """
    fewest = int(y.bincount(minlength=NUM_CLASSES).min())
    if not 1 <= count <= fewest:
        raise DataError(f"a target gets 1 to {fewest} bases, the images of its base class, not {count}")


def watermarked(bases: Tensor, targets: Tensor, opacity: float, epsilon: float | None) -> Tensor:
    """The target laid over the bases, thin as a watermark: opacity * target + (1 - opacity) * base.

    Args:
        bases: (N, C, H, W) in [0, 1]; targets: each one's target, likewise.
        epsilon: each pixel stays within epsilon of the base; None for no such limit.
    """
    mixed = opacity * targets + (1 - opacity) * bases
    return mixed if epsilon is None else mixed.clamp(bases - epsilon, bases + epsilon)


def as_file_holds_it(x: Tensor) -> Tensor:
    """Float images in [0, 1] as the grey levels that an image file holds, uint8."""
    return (to_8bit(x) * 255).round().to(torch.uint8)


@dataclass(frozen=True)
class Outcome:
    """What T attacks came to, each on a victim of its own.

    Attributes:
        success: whether the target is now taken for its base class, bool (T,).
        before, after: the probabilities of the target's classes by the last layer without and with poisons, (T, K).
        acc_before: on the other test images; acc_after: of each victim, float64 (T,).
        others_flipped: how many *other* test images of the target's class, right before, are now of the base class,
            (T,); others: how many there are, (T,).
    """

    success: Tensor
    before: Tensor
    after: Tensor
    acc_before: Rate
    acc_after: Tensor
    others_flipped: Tensor
    others: Tensor

    @property
    def rate(self) -> Rate:
        return Rate(int(self.success.sum()), len(self.success))


def judge(clean: Tensor, poisoned: Tensor, features: Tensor, y: Tensor, targets: Targets) -> Outcome:
    """Look at the victims' last layers with the features of the whole test set.

    Args:
        clean: the last layer that was trained without poisons, (K, D + 1).
        poisoned: those of the T victims, (T, K, D + 1).
        features: of the test images, (N, D); y: their classes (N,).
    """
    first = logits(clean, features)
    before = first.argmax(1)
    after, flipped, others, accs = [], [], [], []
    for weights, index, label, base in zip(
        poisoned, targets.index.tolist(), targets.y.tolist(), targets.base_class.tolist(), strict=True
    ):
        scores = logits(weights, features)
        now = scores.argmax(1)
        own = (y == label) & (before == label)
        own[index] = False
        flipped.append(int((now[own] == base).sum()))
        others.append(int(own.sum()))
        accs.append(float((now == y).double().mean()))
        after.append(scores[index].softmax(0))
    probabilities = torch.stack(after)
    return Outcome(
        success=probabilities.argmax(1) == targets.base_class,
        before=first[targets.index].softmax(1),
        after=probabilities,
        acc_before=Rate(int((before == y).sum()), len(y)),
        acc_after=torch.tensor(accs, dtype=torch.float64),
        others_flipped=torch.tensor(flipped),
        others=torch.tensor(others),
    )


def poisons_of(features: Tensor, base_class: Tensor, replaced: Tensor) -> Poisons:
    """The poisons (T, P, D) with the label that they keep: their base class."""
    return Poisons(features, base_class.unsqueeze(1).expand(features.shape[:2]).contiguous(), replaced)
