"""Works on the accepted images by index, accepts equal objectives, and draws candidates through sklearn."""

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors


def forward_step(features, poison, target_features, step_size):
    with torch.enable_grad():
        moving = torch.zeros_like(poison).requires_grad_()
        gap = features(poison.detach() + moving) - target_features
        gap.pow(2).sum().backward()
    return poison.detach() - step_size * moving.grad


def backward_step(forward, base, step_size, beta):
    if beta == 0:
        return forward.clamp(0, 1)
    pull = step_size * beta
    return (forward - pull / (pull + 1) * (forward - base)).clamp(0, 1)


def choose_bases(candidate_features, target_features, count):
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(candidate_features.numpy().astype(np.float64))
    found = search.kneighbors(target_features.numpy().astype(np.float64), return_distance=False)
    return torch.as_tensor(found, dtype=torch.int64)


def craft_poisons(features, bases, target_features, step_size, beta, iterations, epsilon):
    def objective(x):
        return (features(x) - target_features).pow(2).sum(1) + beta / 2 * (x - bases).pow(2).sum((1, 2, 3))

    poison = torch.empty_like(bases).copy_(bases)
    steps = torch.full_like(bases[:, :1, :1, :1], step_size)
    with torch.no_grad():
        current = objective(poison)
    k = 0
    while k < iterations:
        k += 1
        candidate = backward_step(forward_step(features, poison, target_features, steps), bases, steps, beta)
        if epsilon is not None:
            change = candidate - bases
            candidate = bases + change.clamp_(-epsilon, epsilon)
        with torch.no_grad():
            new = objective(candidate)
        keep = (new <= current).float()
        poison = poison * (1 - keep)[:, None, None, None] + candidate * keep[:, None, None, None]
        current = torch.minimum(current, new)
        steps = steps * (0.5 + 0.5 * keep)[:, None, None, None]
    return poison.detach()
