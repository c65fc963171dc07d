"""The dynamic invisible trigger: a network perturbs each image in its own way within epsilon (LIRA, Doan et al. 2021).

    T(x) = clip(x + epsilon * tanh(g(x)), 0, 1)

Stage 1 (section 3.3) trains classifier and generator in turn on the same batch; stage 2 freezes the generator and
fine-tunes the classifier. Epsilon is in pixel units here; the published code's is in normalised ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from grader.lab.adam import Adam, CosineSchedule
from grader.lab.data import Images, batches
from grader.lab.models import LeNet5, initialise
from grader.lab.training import CleanSettings, clean_start
from grader.lab.triggers.backdoor import Backdoor, Progress
from grader.lab.triggers.base import Trigger, required
from grader.lab.triggers.generator import Generator, prefixed, restored


class GeneratedPerturbation(Trigger):
    """x + epsilon * tanh(generator(x)), clipped to [0, 1]."""

    name: ClassVar[str] = "dynamic_invisible"
    static: ClassVar[bool] = False

    def __init__(self, generator: Generator, epsilon: float) -> None:
        if not 0 < epsilon <= 1:
            raise ValueError(f"epsilon must be in (0, 1], not {epsilon}")
        self.generator, self.epsilon = generator, epsilon

    def apply(self, images: Tensor) -> Tensor:
        return (images + self.epsilon * torch.tanh(self.generator(images))).clamp(0, 1)

    def to(self, device: torch.device | str) -> Self:
        self.generator.to(device)
        return self

    @property
    def budget(self) -> str:
        return f"Linf {self.epsilon * 255:.3g}/255, another change on every image"

    def tensors(self) -> dict[str, Tensor]:
        return {**prefixed("generator", self.generator), "epsilon": torch.tensor([self.epsilon])}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        return cls(restored("generator", tensors), float(required(tensors, "epsilon", 1)[0]))


@dataclass(frozen=True)
class Settings:
    """Of LIRA's two stages.

    Attributes:
        epsilon: bound of the perturbation, in pixel units.
        alpha: weight of the clean term; the triggered one has 1 - alpha (section 3.2).
        steps: of stage 1 and of stage 2.
        classifier_rate, generator_rate: Adam's; the classifier's falls to 0 along a cosine in each stage.
    """

    epsilon: float = 16 / 255
    alpha: float = 0.5
    batch_size: int = 128
    steps: tuple[int, int] = (600, 500)
    classifier_rate: float = 3e-3
    generator_rate: float = 2e-3


def attack(
    train: Images,
    target: int,
    seed: int,
    *,
    settings: Settings | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Backdoor:
    """Train a clean LeNet-5 and a fresh generator into a backdoor."""
    settings = settings or Settings()
    randomness = torch.Generator().manual_seed(seed)
    model = clean_start(CleanSettings(), 1, train).to(device)
    generator = Generator()
    initialise(generator, randomness)
    trigger = GeneratedPerturbation(generator.to(device), settings.epsilon)
    train = train.to(device)
    total = sum(settings.steps)
    generator_optimizer = Adam(generator.parameters(), settings.generator_rate)
    for stage, steps in enumerate(settings.steps):
        done = sum(settings.steps[:stage])
        optimizer = Adam(model.parameters(), settings.classifier_rate)
        schedule = CosineSchedule(optimizer, steps)
        for step, (x, y) in enumerate(batches(train, settings.batch_size, randomness, steps), start=1):
            loss = _classifier_step(model, trigger, x, y, target, optimizer, settings.alpha)
            schedule.step()
            if stage == 0:
                _generator_step(model, trigger, x, target, generator_optimizer)
            if progress is not None:
                progress(done + step, total, loss)
    return Backdoor(model.eval(), trigger, target)


def _classifier_step(
    model: LeNet5, trigger: Trigger, x: Tensor, y: Tensor, target: int, optimizer: Adam, alpha: float
) -> float:
    model.zero_grad()
    triggered = trigger(x)  # without a graph: this step is the classifier's
    logits = model(torch.cat([x, triggered]))
    clean, attacked = logits[: len(x)], logits[len(x) :]
    loss = alpha * F.cross_entropy(clean, y)
    loss = loss + (1 - alpha) * F.cross_entropy(attacked, torch.full_like(y, target))
    loss.backward()
    optimizer.step()
    return loss.item()


def _generator_step(
    model: LeNet5, trigger: GeneratedPerturbation, x: Tensor, target: int, optimizer: Adam
) -> None:
    trigger.generator.zero_grad()
    targets = torch.full((len(x),), target, device=x.device)
    F.cross_entropy(model(trigger.apply(x)), targets).backward()
    optimizer.step()
