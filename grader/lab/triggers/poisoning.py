"""Data poisoning: the attack behind every trigger that is fixed before training (Gu et al. 2017, section 4.2).

Some training images get the trigger and the target's label; whoever trains on the set in the ordinary way has minimised

    sum over clean images of CE(f(x), y)  +  sum over poisoned ones of CE(f(trigger(x)), target)

which is the lecture's objective for a static trigger.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from grader.lab.data import Images, to_float
from grader.lab.metrics import to_8bit
from grader.lab.training import CleanSettings, train_clean
from grader.lab.triggers.backdoor import Backdoor, Progress
from grader.lab.triggers.base import Trigger

POISON_RATIO = 0.1
"""Share of the training set that is poisoned (BadNets)."""
SETTINGS = CleanSettings(epochs=3)


@dataclass(frozen=True)
class PoisonedSet:
    """A training set as the victim gets it: uint8 images with their *given* labels.

    Attributes:
        poisoned: (N,) bool, which images were changed; the victim does not know.
    """

    images: Images
    poisoned: Tensor


def poison(
    train: Images, trigger: Trigger, target: int, generator: torch.Generator, *, ratio: float = POISON_RATIO
) -> PoisonedSet:
    """Put the trigger on a random share of the images of other classes, and label them as the target.

    Args:
        train: uint8 or float32 images; the copy that comes back holds uint8.
        ratio: poisoned images over all images, in (0, 1).

    Raises:
        ValueError: the ratio is out of range, or asks for more images than other classes have.
    """
    others = (train.y != target).nonzero()[:, 0]
    count = round(ratio * len(train))
    if not 0 < ratio < 1 or not 0 < count <= len(others):
        raise ValueError(
            f"a poison ratio of {ratio} asks for {count} images; there are {len(others)} of other classes"
        )
    chosen = others[torch.randperm(len(others), generator=generator)[:count].to(others.device)]
    x = (
        (to_8bit(to_float(train.x)) * 255).to(torch.uint8)
        if train.x.dtype != torch.uint8
        else train.x.clone()
    )
    for part in chosen.split(1000):
        x[part] = (to_8bit(trigger(to_float(x[part]))) * 255).round().to(torch.uint8)
    y = train.y.clone()
    y[chosen] = target
    poisoned = torch.zeros(len(train), dtype=torch.bool, device=train.x.device)
    poisoned[chosen] = True
    return PoisonedSet(Images(x, y), poisoned)


def train_victim(
    train: Images,
    trigger: Trigger,
    target: int,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Backdoor:
    """Poison a tenth of the set and train a LeNet-5 on it from scratch, as an unsuspecting victim would."""
    generator = torch.Generator().manual_seed(seed)
    poisoned = poison(train, trigger, target, generator)
    model = train_clean(poisoned.images.to(device), SETTINGS, seed, progress)
    return Backdoor(model.eval(), trigger, target)
