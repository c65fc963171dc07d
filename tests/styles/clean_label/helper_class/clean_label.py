"""The state of the loop in a class, typed and documented."""

from dataclasses import dataclass
from typing import Callable, Optional

import torch
from torch import Tensor

Extractor = Callable[[Tensor], Tensor]


@dataclass
class Batch:
    """Images on their way from base to poison."""

    features: Extractor
    bases: Tensor
    target_features: Tensor
    beta: float

    def objective(self, x: Tensor) -> Tensor:
        """(N,)"""
        with torch.inference_mode():
            gap = self.features(x) - self.target_features
            value = torch.einsum("nd,nd->n", gap, gap)
            move = (x - self.bases).reshape(len(x), -1)
            return value + self.beta * torch.einsum("nd,nd->n", move, move) / 2


def forward_step(features: Extractor, poison: Tensor, target_features: Tensor, step_size: Tensor) -> Tensor:
    leaf = poison.detach().requires_grad_(True) if poison.requires_grad else poison.clone().requires_grad_(True)
    gap = features(leaf) - target_features
    torch.einsum("nd,nd->", gap, gap).backward()
    assert leaf.grad is not None
    with torch.no_grad():
        return poison.sub(leaf.grad.mul(step_size))


def backward_step(forward: Tensor, base: Tensor, step_size: Tensor, beta: float) -> Tensor:
    alpha = 1 / (1 + step_size * beta)
    return torch.clamp(alpha * forward + (1 - alpha) * base, 0, 1)


def choose_bases(candidate_features: Tensor, target_features: Tensor, count: int) -> Tensor:
    gaps = candidate_features.unsqueeze(0) - target_features.unsqueeze(1)
    return torch.topk(-gaps.square().sum(-1), k=count, dim=1).indices


def craft_poisons(
    features: Extractor,
    bases: Tensor,
    target_features: Tensor,
    step_size: float,
    beta: float,
    iterations: int,
    epsilon: Optional[float],
) -> Tensor:
    batch = Batch(features, bases, target_features, beta)
    poison, step = bases.clone(), torch.ones(len(bases), 1, 1, 1) * step_size
    objective = batch.objective(poison).clone()
    for _ in range(iterations):
        candidate = backward_step(forward_step(features, poison, target_features, step), bases, step, beta)
        if epsilon is not None:
            candidate = torch.clamp(candidate, min=bases - epsilon, max=bases + epsilon)
        value = batch.objective(candidate)
        for i in range(len(bases)):
            if value[i] < objective[i]:
                objective[i] = value[i]
                poison[i] = candidate[i]
            else:
                step[i] /= 2
    return poison
