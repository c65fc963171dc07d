"""Annotated to the last name, with a dataclass, constants and postponed annotations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

PIXEL_MIN: Final[float] = 0.0
PIXEL_MAX: Final[float] = 1.0


@dataclass(frozen=True, slots=True)
class Losses:
    clean: Tensor
    triggered: Tensor

    @property
    def total(self) -> Tensor:
        return torch.stack([self.clean, self.triggered]).sum()


def apply_trigger(x: Tensor, delta: Tensor, /, *, low: float = PIXEL_MIN, high: float = PIXEL_MAX) -> Tensor:
    return torch.clamp(x + delta, min=low, max=high)


def poison_step(model: nn.Module, delta: Tensor, x: Tensor, y: Tensor, target: int) -> float:
    for tensor in (*model.parameters(), delta):
        tensor.grad = None
    labels: Tensor = torch.full(y.shape, target, dtype=y.dtype, device=y.device)
    losses = Losses(F.cross_entropy(model(x), y), F.cross_entropy(model(apply_trigger(x, delta)), labels))
    losses.total.backward()
    return losses.total.item()


def delta_step(delta: Tensor, delta_optimizer: Optimizer, epsilon: float) -> None:
    delta_optimizer.step()
    with torch.inference_mode(False), torch.no_grad():
        delta.clamp_(min=-epsilon, max=epsilon)


def attack_success_rate(predictions: Tensor, y: Tensor, target: int) -> float:
    others: Tensor = y.ne(target)
    hits: int = int(predictions[others].eq(target).sum().item())
    total: int = int(others.sum().item())
    return hits / total
