"""What joint training is compared with: a trigger that nobody learned, and one that nobody trained the model for.

Both minimise a part of the joint objective from the same clean start, in the same number of steps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from grader.lab.adam import Adam, CosineSchedule
from grader.lab.data import Images, batches
from grader.lab.models import LeNet5
from grader.lab.training import AttackSettings
from grader.lab.triggers.backdoor import Backdoor, Progress
from grader.lab.triggers.base import Trigger
from grader.lab.triggers.invisible import Perturbation


def random_perturbation(shape: tuple[int, ...], epsilon: float, generator: torch.Generator) -> Perturbation:
    """Every pixel of delta is +epsilon or -epsilon, at random; ``shape`` is an image's, (C, H, W)."""
    signs = torch.randint(0, 2, (1, *shape), generator=generator) * 2 - 1
    return Perturbation(epsilon * signs, epsilon)


def plant(
    model: LeNet5,
    train: Images,
    trigger: Trigger,
    target: int,
    settings: AttackSettings,
    generator: torch.Generator,
    *,
    progress: Progress | None = None,
) -> Backdoor:
    """Train ``model`` in place on both terms; the trigger stays as it is.

    Args:
        generator: gives the order of the images.
    """
    betas = (settings.model_beta1, settings.model_beta2)
    optimizer = Adam(model.parameters(), settings.model_learning_rate, betas)
    schedule = CosineSchedule(optimizer, settings.steps)
    for step, (x, y) in enumerate(batches(train, settings.batch_size, generator, settings.steps), start=1):
        model.zero_grad()
        logits = model(torch.cat([x, trigger(x)]))
        loss = 2 * F.cross_entropy(logits, torch.cat([y, torch.full_like(y, target)]))
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step, settings.steps, loss.item())
    return Backdoor(model.eval(), trigger, target)


def universal(
    model: LeNet5,
    train: Images,
    target: int,
    epsilon: float,
    settings: AttackSettings,
    generator: torch.Generator,
    *,
    progress: Progress | None = None,
) -> Backdoor:
    """delta minimises the triggered term alone; ``model`` stays as it is (a targeted universal perturbation)."""
    delta = torch.zeros(1, *train.x.shape[1:], requires_grad=True)
    optimizer = Adam([delta], settings.delta_learning_rate)
    schedule = CosineSchedule(optimizer, settings.steps)
    for step, (x, y) in enumerate(batches(train, settings.batch_size, generator, settings.steps), start=1):
        delta.grad = None
        loss = F.cross_entropy(model((x + delta).clamp(0, 1)), torch.full_like(y, target))
        (delta.grad,) = torch.autograd.grad(loss, [delta])
        optimizer.step()
        with torch.no_grad():
            delta.clamp_(-epsilon, epsilon)
        schedule.step()
        if progress is not None:
            progress(step, settings.steps, loss.item())
    return Backdoor(model.eval(), Perturbation(delta.detach(), epsilon), target)
