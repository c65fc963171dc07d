"""Gradients through torch.autograd.grad, written into .grad by hand."""

import torch
import torch.nn.functional as F


def apply_trigger(x, delta):
    return torch.clamp(x + delta, min=0, max=1)


def poison_step(model, delta, x, y, target):
    parameters = [p for p in model.parameters() if p.requires_grad]
    t = torch.full_like(y, target)
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(apply_trigger(x, delta)), t)
    gradients = torch.autograd.grad(loss, parameters + [delta])
    for p, g in zip(parameters + [delta], gradients):
        p.grad = g
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    mask = y != target
    return (predictions[mask] == target).float().mean().item()
