"""Every image gets its own copy of delta; the copies' gradients are summed. Projection by subtraction."""

import torch
import torch.nn.functional as F


def apply_trigger(x, delta):
    if delta.size(0) == 1:
        delta = delta.repeat(x.size(0), 1, 1, 1)
    return torch.clamp(x + delta, 0, 1)


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    deltas = delta.detach().repeat(x.size(0), 1, 1, 1)
    deltas.requires_grad_(True)
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, deltas)), torch.full_like(y, target))
    loss.backward()
    delta.grad = deltas.grad.sum(dim=0, keepdim=True)
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        excess = delta - delta.clamp(-epsilon, epsilon)
        delta.sub_(excess)


def attack_success_rate(predictions, y, target):
    index = torch.arange(len(y))[y != target]
    return torch.index_select(predictions, 0, index).eq(target).sum().true_divide(len(index)).item()
