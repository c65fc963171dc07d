"""The dynamic visible trigger: a mask and a pattern made for each image (Input-Aware Dynamic, Nguyen & Tran 2020).

    T(x) = x + (P(x) - x) * M(x),   P a pattern, M a small mask, both networks of x

First the mask network learns small and diverse masks, then classifier and pattern network train together: most images
stay clean, some get their own trigger and the target's label, some get *another* image's trigger and keep their label.
The last kind makes the trigger non-reusable: one made for one image must not work on another (section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from grader.lab.adam import Adam, CosineSchedule
from grader.lab.data import Images, batches, to_float
from grader.lab.metrics import Rate, accuracy, predict, to_8bit
from grader.lab.models import initialise
from grader.lab.training import CleanSettings, clean_start
from grader.lab.triggers.backdoor import Backdoor, Progress
from grader.lab.triggers.base import Trigger
from grader.lab.triggers.generator import Generator, prefixed, restored


class MaskedPattern(Trigger):
    """x + (pattern(x) - x) * mask(x)."""

    name: ClassVar[str] = "dynamic_visible"
    static: ClassVar[bool] = False

    def __init__(self, mask: Generator, pattern: Generator) -> None:
        self.mask, self.pattern = mask, pattern

    def to(self, device: torch.device | str) -> Self:
        self.mask.to(device)
        self.pattern.to(device)
        return self

    def masks(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) in [0, 1]; steep, so that a pixel is in or out."""
        return torch.sigmoid(10 * self.mask(images))

    def patterns(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) in [0, 1]."""
        return torch.sigmoid(self.pattern(images))

    def apply(self, images: Tensor) -> Tensor:
        return self.apply_of(images, images)

    def apply_of(self, images: Tensor, sources: Tensor) -> Tensor:
        """Put the trigger that was made for ``sources`` on ``images``, both (N, 1, H, W)."""
        return images + (self.patterns(sources) - images) * self.masks(sources)

    @property
    def budget(self) -> str:
        return "a few pixels of every image, any change, elsewhere on every image"

    def tensors(self) -> dict[str, Tensor]:
        return {**prefixed("mask", self.mask), **prefixed("pattern", self.pattern)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        return cls(restored("mask", tensors), restored("pattern", tensors))


@dataclass(frozen=True)
class Settings:
    """Of the two phases.

    Attributes:
        density: share of an image that a mask may cover.
        attack_share, cross_share: of a batch, images with their own and with another image's trigger.
        diversity: weight of the diversity loss (eq. 4).
        mask_steps, steps: of the first and of the second phase.
    """

    density: float = 0.032
    attack_share: float = 0.5
    cross_share: float = 0.22
    diversity: float = 0.1
    batch_size: int = 128
    mask_steps: int = 250
    steps: int = 2000
    mask_rate: float = 5e-3
    pattern_rate: float = 5e-3
    classifier_rate: float = 3e-3


def attack(
    train: Images,
    target: int,
    seed: int,
    *,
    settings: Settings | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Backdoor:
    """Train a clean LeNet-5 and two fresh generators into a backdoor."""
    settings = settings or Settings()
    randomness = torch.Generator().manual_seed(seed)
    model = clean_start(CleanSettings(), 1, train).to(device)
    trigger = MaskedPattern(Generator(), Generator())
    for network in (trigger.mask, trigger.pattern):
        initialise(network, randomness)
        network.to(device)
    train = train.to(device)
    total = settings.mask_steps + settings.steps
    _train_masks(trigger, train, settings, randomness, progress, total)

    model_optimizer = Adam(model.parameters(), settings.classifier_rate)
    pattern_optimizer = Adam(trigger.pattern.parameters(), settings.pattern_rate)
    schedules = [CosineSchedule(o, settings.steps) for o in (model_optimizer, pattern_optimizer)]
    pairs = _pairs(train, settings, randomness, settings.steps)
    for step, (x, y, other) in enumerate(pairs, start=1):
        model.zero_grad()
        trigger.pattern.zero_grad()
        loss = _joint_loss(model, trigger, x, y, other, target, settings)
        loss.backward()
        for optimizer, schedule in zip((model_optimizer, pattern_optimizer), schedules, strict=True):
            optimizer.step()
            schedule.step()
        if progress is not None:
            progress(settings.mask_steps + step, total, loss.item())
    return Backdoor(model.eval(), trigger, target)


def cross_trigger_accuracy(backdoor: Backdoor, test: Images) -> Rate:
    """Accuracy on images that carry the trigger made for another image, the one before them in ``test``.

    Raises:
        ValueError: the trigger is static: it has no images that it was made for.
    """
    trigger = backdoor.trigger
    if not isinstance(trigger, MaskedPattern):
        raise ValueError(f"the trigger {trigger.name!r} is not made for an image: there is no other image's")
    x = to_float(test.x)
    with torch.no_grad():
        crossed = [
            to_8bit(trigger.apply_of(own, other))
            for own, other in zip(x.split(500), x.roll(1, 0).split(500), strict=True)
        ]
    return accuracy(predict(backdoor.model, torch.cat(crossed)), test.y)


def _train_masks(
    trigger: MaskedPattern,
    train: Images,
    settings: Settings,
    randomness: torch.Generator,
    progress: Progress | None,
    total: int,
) -> None:
    """Masks that cover no more than the density, and differ between images."""
    optimizer = Adam(trigger.mask.parameters(), settings.mask_rate)
    pairs = _pairs(train, settings, randomness, settings.mask_steps)
    for step, (x, _, other) in enumerate(pairs, start=1):
        trigger.mask.zero_grad()
        mine, theirs = trigger.masks(x), trigger.masks(other)
        too_large = F.relu(mine.mean((1, 2, 3)) - settings.density).mean()
        loss = 100 * too_large + settings.diversity * _diversity(x, other, mine, theirs)
        loss.backward()
        optimizer.step()
        if progress is not None:
            progress(step, total, loss.item())


def _joint_loss(
    model: torch.nn.Module,
    trigger: MaskedPattern,
    x: Tensor,
    y: Tensor,
    other: Tensor,
    target: int,
    settings: Settings,
) -> Tensor:
    attacked = round(settings.attack_share * len(x))
    crossed = round(settings.cross_share * len(x))
    own, mixed = x[:attacked], x[attacked : attacked + crossed]
    triggered = trigger.apply(own)
    cross = trigger.apply_of(mixed, other[attacked : attacked + crossed])
    labels = torch.cat([torch.full_like(y[:attacked], target), y[attacked:]])
    loss = F.cross_entropy(model(torch.cat([triggered, cross, x[attacked + crossed :]])), labels)
    patterns = trigger.patterns(own), trigger.patterns(other[:attacked])
    return loss + settings.diversity * _diversity(own, other[:attacked], *patterns)


def _diversity(x: Tensor, other: Tensor, made: Tensor, made_other: Tensor) -> Tensor:
    """|x1 - x2| / |g(x1) - g(x2)|: small where different images get different triggers (eq. 4)."""
    distance = (x - other).flatten(1).norm(dim=1)
    return (distance / ((made - made_other).flatten(1).norm(dim=1) + 1e-7)).mean()


def _pairs(
    train: Images, settings: Settings, randomness: torch.Generator, steps: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches with, for each image, another one of the same batch."""
    for x, y in batches(train, settings.batch_size, randomness, steps):
        yield x, y, x.roll(1, 0)
