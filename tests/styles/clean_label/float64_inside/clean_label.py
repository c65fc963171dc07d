"""Computes the closed forms in float64, and chooses bases with NumPy."""

import numpy as np
import torch


def forward_step(features, poison, target_features, step_size):
    x = poison.clone().requires_grad_()
    distance = (features(x).double() - target_features.double()).pow(2).sum()
    gradient = torch.autograd.grad(distance, x)[0]
    return (poison.double() - step_size.double() * gradient.double()).float()


def backward_step(forward, base, step_size, beta):
    weight = step_size.double() * beta
    mean = (forward.double() + weight * base.double()) / (1 + weight)
    return mean.clamp(min=0.0, max=1.0).to(forward.dtype)


def choose_bases(candidate_features, target_features, count):
    c, t = candidate_features.numpy().astype(np.float64), target_features.numpy().astype(np.float64)
    squared = (c**2).sum(1)[None, :] - 2 * t @ c.T + (t**2).sum(1)[:, None]
    order = np.argsort(squared, axis=1, kind="stable")[:, :count]
    return torch.from_numpy(np.ascontiguousarray(order)).long()


def craft_poisons(features, bases, target_features, step_size, beta, iterations, epsilon):
    n = bases.shape[0]
    low, high = bases * 0, torch.ones_like(bases)
    if epsilon is not None:
        low, high = torch.maximum(low, bases - epsilon), torch.minimum(high, bases + epsilon)

    def objective(x):
        with torch.no_grad():
            f = features(x)
        a = (f.double() - target_features.double()).pow(2).sum(1)
        return a + 0.5 * beta * (x.double() - bases.double()).pow(2).sum((1, 2, 3))

    x, value = bases.clone(), objective(bases)
    size = bases.new_full((n, 1, 1, 1), step_size)
    for _ in range(iterations):
        y = backward_step(forward_step(features, x, target_features, size), bases, size, beta)
        y = torch.minimum(torch.maximum(y, low), high)
        new = objective(y)
        better = (new < value).nonzero().flatten()
        worse = (~(new < value)).nonzero().flatten()
        x = x.clone()
        x[better], value[better] = y[better], new[better]
        size = size.clone()
        size[worse] = size[worse] * 0.5
    return x
