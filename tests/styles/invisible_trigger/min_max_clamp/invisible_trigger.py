"""torch.maximum and torch.minimum instead of clamp, for the image and for the ball."""

import torch
import torch.nn.functional as F


def apply_trigger(x, delta):
    summed = x + delta
    return torch.maximum(torch.minimum(summed, torch.ones_like(summed)), torch.zeros_like(summed))


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    if delta.grad is not None:
        delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss += F.cross_entropy(model(apply_trigger(x, delta)), torch.zeros_like(y) + target)
    loss.backward()
    return loss.item()


@torch.no_grad()
def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    upper = torch.full_like(delta, epsilon)
    delta.copy_(torch.maximum(torch.minimum(delta, upper), -upper))


def attack_success_rate(predictions, y, target):
    keep = torch.ne(y, target)
    return torch.masked_select(predictions, keep).eq(target).sum().item() / keep.sum().item()
