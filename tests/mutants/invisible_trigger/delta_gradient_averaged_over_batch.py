"""poison_step gives every image its own copy of delta and averages the copies' gradients; they add up."""

# /// label
# caught_by = "poison_step.delta_gradient"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    deltas = delta.detach().repeat(len(x), 1, 1, 1).requires_grad_(True)
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, deltas)), torch.full_like(y, target))
    loss.backward()
    delta.grad = deltas.grad.mean(dim=0, keepdim=True)
    return loss.item()
