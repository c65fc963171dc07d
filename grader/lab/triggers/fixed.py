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
from grader.lab.triggers.invisible import Perturbation


def random_trigger(
    model: LeNet5,
    train: Images,
    target: int,
    epsilon: float,
    settings: AttackSettings,
    seed: int,
    *,
    progress: Progress | None = None,
) -> Backdoor:
    """Every pixel of delta is +epsilon or -epsilon, at random and for good; ``model`` is trained on both terms."""
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (1, *train.x.shape[1:]), generator=generator) * 2 - 1
    trigger = Perturbation(epsilon * signs, epsilon)
    optimizer = Adam(
        model.parameters(), settings.model_learning_rate, (settings.model_beta1, settings.model_beta2)
    )
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
    seed: int,
    *,
    progress: Progress | None = None,
) -> Backdoor:
    """delta minimises the triggered term alone; ``model`` stays as it is (a targeted universal perturbation)."""
    generator = torch.Generator().manual_seed(seed)
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
