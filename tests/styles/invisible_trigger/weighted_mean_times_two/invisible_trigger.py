"""One weighted mean over both halves, times two."""

import torch
from torch import nn

criterion = nn.CrossEntropyLoss(reduction="none")


def apply_trigger(x, delta):
    return torch.clip(x + delta, 0.0, 1.0)


def poison_step(model, delta, x, y, target):
    for p in model.parameters():
        p.grad = None
    delta.grad = None

    both = torch.cat([x, apply_trigger(x, delta)])
    labels = torch.cat([y, torch.empty_like(y).fill_(target)])
    weights = torch.full((len(both),), 1 / len(both), device=x.device)
    loss = 2 * (weights * criterion(model(both), labels)).sum()
    loss.backward()
    return loss.detach().item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.copy_(delta.clip(-epsilon, epsilon))


def attack_success_rate(predictions, y, target):
    others = (y != target).nonzero(as_tuple=True)[0]
    return predictions[others].eq(target).double().mean().item()
