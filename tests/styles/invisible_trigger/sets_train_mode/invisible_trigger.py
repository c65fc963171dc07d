"""Calls model.train() and torch.set_grad_enabled first, to be on the safe side."""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_num_threads(1)


def apply_trigger(x, delta):
    assert x.dim() == 4 and delta.size(0) == 1, "expected (N, C, H, W) and (1, C, H, W)"
    return torch.clamp(x + delta, 0, 1)


def poison_step(model, delta, x, y, target):
    model.train()
    with torch.set_grad_enabled(True):
        model.zero_grad()
        delta.grad = None
        delta.requires_grad_(True)
        device = next(model.parameters()).device
        x, y = x.to(device), y.to(device)
        loss = F.cross_entropy(model(x), y)
        loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
        loss.backward()
    if not torch.isfinite(loss):
        raise ValueError("loss is not finite")
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    delta_optimizer.zero_grad()
    delta.requires_grad_(False)
    delta.clamp_(-epsilon, epsilon)
    delta.requires_grad_(True)


def attack_success_rate(predictions, y, target):
    others = y != target
    if others.sum() == 0:
        return 0.0
    return (predictions[others] == target).float().mean().item()
