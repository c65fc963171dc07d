"""Lambdas, prints, warnings, and torch.func for the gradient."""

import functools
import warnings

import torch

warnings.warn("an import-time warning is harmless")

_squares = lambda a, b: (a - b).flatten(1).square().sum(1)
backward_step = lambda forward, base, step_size, beta: torch.clamp((forward + step_size * beta * base).div(1 + step_size * beta), 0, 1)


def forward_step(features, poison, target_features, step_size):
    print("forward", tuple(poison.shape))
    gradient = torch.func.grad(lambda x: _squares(features(x), target_features).sum())(poison)
    return torch.sub(poison, step_size * gradient)


def choose_bases(candidate_features, target_features, count):
    table = torch.stack([_squares(candidate_features, t.expand_as(candidate_features)) for t in target_features])
    print(table)
    return table.kthvalue(1, dim=1).indices[:, None] if count == 1 else table.argsort(dim=1)[:, :count].contiguous()


def craft_poisons(features, bases, target_features, step_size, beta, iterations, epsilon):
    objective = torch.no_grad()(lambda x: _squares(features(x), target_features) + beta / 2 * _squares(x, bases))

    def one_round(state, _):
        x, s, v = state
        y = backward_step(forward_step(features, x, target_features, s), bases, s, beta)
        y = y if epsilon is None else torch.minimum(torch.maximum(y, bases - epsilon), bases + epsilon)
        w = objective(y)
        take = (w < v)[:, None, None, None]
        return torch.where(take, y, x), torch.where(take, s, 0.5 * s), torch.minimum(w, v)

    start = (bases.clone(), bases.new_full((len(bases), 1, 1, 1), step_size), objective(bases))
    return functools.reduce(one_round, range(iterations), start)[0]
