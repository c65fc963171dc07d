"""Model and delta gradients from two separate autograd.grad calls on two separate forwards."""

import torch
import torch.nn.functional as F


def _loss(model, delta, x, y, target):
    clean = F.cross_entropy(model(x), y)
    poisoned = F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    return clean + poisoned


def apply_trigger(x, delta):
    return torch.clamp(x + delta, 0, 1)


def poison_step(model, delta, x, y, target):
    names, parameters = zip(*model.named_parameters())

    # theta: delta is a constant
    loss = _loss(model, delta.detach(), x, y, target)
    for p, g in zip(parameters, torch.autograd.grad(loss, parameters)):
        if p.grad is None:
            p.grad = torch.zeros_like(p)
        p.grad.copy_(g)

    # delta: the clean term does not depend on it
    triggered = F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    delta.grad = torch.autograd.grad(triggered, delta)[0].clone()
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.copy_(torch.clamp(delta, -epsilon, epsilon))


def attack_success_rate(predictions, y, target):
    others = predictions[y != target]
    return torch.count_nonzero(others == target).item() / others.numel()
