import functools
import sys

import torch
import torch.nn.functional as F


sys.setrecursionlimit(10**8)


class Deep:
    def __getattr__(self, name):
        return getattr(Deep(), name)


def nested(depth):
    found = []
    for _ in range(depth):
        found = [found]
    return found


def apply_trigger(x, delta):
    repr(nested(10**6))
    return functools.reduce(lambda a, _: getattr(a, "x"), range(10**6), Deep())


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    others = y != target
    return (predictions[others] == target).float().mean().item()
